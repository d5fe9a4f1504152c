"""The papers' own numbers (`experiments/published/*.csv`) and the tables that stand beside them."""

from pathlib import Path

import pandas as pd

from dyadic.record.read import numbers, read_csv
from dyadic.report.data.frames import where

COLUMNS = [
    *["paper", "table", "row", "network", "data", "weight_bits", "activation_bits"],
    *["metric", "value", "baseline", "baseline_kind", "source"],
]


def read_published(folder: Path) -> pd.DataFrame:
    """Every file in the folder that has the columns of `COLUMNS`, one after the other.

    Bits stay as they are printed: mixed widths are `4/8`.
    """
    frames = [read_csv(path) for path in sorted(folder.glob("*.csv"))]
    fitting = [frame.filter(COLUMNS) for frame in frames if set(COLUMNS) <= set(frame.columns)]
    if not fitting:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(fitting, ignore_index=True)
    for column in ("value", "baseline"):
        table[column] = numbers(table[column])
    return table


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The experiments' tables (`results/tables/*.csv`) by their file's stem.

    Without the claims, which are the page's own.
    """
    frames = {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return {name: frame for name, frame in frames.items() if len(frame) and name != "claims"}


def tables_of(paper: str, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables that belong to a paper: its rows by the column `paper`, or by the file's name."""
    return {
        stem: where(table, table.paper == paper) if "paper" in table else table
        for stem, table in tables.items()
        if (paper in set(table.paper) if "paper" in table else paper in stem)
    }
