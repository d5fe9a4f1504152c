"""The papers' own numbers (`experiments/published/*.csv`) and the tables that stand beside them."""

from pathlib import Path

import numpy as np
import pandas as pd

from dyadic.record.read import numbers, read_csv
from dyadic.report.data.frames import where

COLUMNS = [
    *["paper", "table", "row", "network", "data", "weight_bits", "activation_bits"],
    *["metric", "value", "baseline", "baseline_kind", "source"],
]
NUMERIC = ["value", "baseline"]
BITS = ["weight_bits", "activation_bits"]

METHODS = {"logquant": ("log2", "log_sqrt2")}
"""The methods that reproduce a paper, where they are not called like the paper's file."""


def read_published(folder: Path) -> pd.DataFrame:
    """Every file in the folder that has the columns of `COLUMNS`, one after the other.

    Bits stay as they are printed: mixed widths are `4/8`.
    """
    frames = [read_csv(path) for path in sorted(folder.glob("*.csv"))]
    fitting = [frame.filter(COLUMNS) for frame in frames if set(COLUMNS) <= set(frame.columns)]
    if not fitting:
        return pd.DataFrame(columns=COLUMNS)
    table = pd.concat(fitting, ignore_index=True)
    for column in NUMERIC:
        table[column] = numbers(table[column])
    return table


def methods_of(paper: str) -> tuple[str, ...]:
    """The methods that reproduce this paper."""
    return METHODS.get(paper, (paper,))


def drops(published: pd.DataFrame) -> pd.DataFrame:
    """The rows that state or imply a loss of top-1 to a float network, as `top1_drop` (points).

    The one quantity that can be compared across networks and data: against each one's own float
    number. Bits as numbers, nan for mixed widths.
    """
    sign = published.metric.map({"top1": -1.0, "top1_error": 1.0})
    implied = sign * (published.value - published.baseline)
    stated = published.value.where(published.metric == "top1_drop")
    bits = {column: numbers(published[column]) for column in BITS}
    table = published.assign(top1_drop=np.where(stated.notna(), stated, implied), **bits)
    return where(table, table.top1_drop.notna() & (table.weight_bits < 32))


OWN = ("results", "claims")


def read_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """The experiments' tables (`results/tables/*.csv`) by their file's stem.

    Without the README's table and the claims, which say the same as the page's own.
    """
    paths = [path for path in sorted(folder.glob("*.csv")) if path.stem not in OWN]
    frames = {path.stem: read_csv(path) for path in paths}
    return {name: frame for name, frame in frames.items() if len(frame)}


def tables_of(paper: str, tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables that belong to a paper: its rows by the column `paper`, or by the file's name."""
    names, found = (paper, *methods_of(paper)), {}
    for stem, table in tables.items():
        if "paper" in table and (table.paper == paper).any():
            found[stem] = where(table, table.paper == paper)
        elif stem.startswith(names):
            found[stem] = table
    return found
