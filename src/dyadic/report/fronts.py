"""Fronts of allocations (`results/pareto/*.csv`), joined with the runs that trained them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.frames import groups, rows, where
from dyadic.report.records import Record, read_csv

COSTS = {"size": "size_mib", "gbops": "gbops", "latency": "latency_ms"}
"""The column of what each measure's budget limits."""

FACTS = ["dataset", "model", "method", "sensitivity", "float_seed"]
CHOICE = ["source", "measure", "share", "budget", "fill_seed", "proven", "omega"]
SCORES = ["top1", "top1_sd", "runs"]
KNOWN = [*FACTS, *CHOICE, *COSTS.values(), *SCORES]


def read_fronts(folder: Path) -> dict[str, pd.DataFrame]:
    """Every front in the folder by its file's stem; files with other columns are left out."""
    frames = {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}
    needed = {*FACTS, *CHOICE}
    return {stem: frame for stem, frame in frames.items() if needed <= set(frame.columns)}


def layers_of(front: pd.DataFrame) -> list[str]:
    """The layers of a front, first to last: every column that is no other."""
    return [str(column) for column in front.columns if column not in KNOWN]


def scored(front: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """The front with `top1` (mean, percent), `top1_sd` and `runs` of the runs that trained it.

    A run trained an allocation when data set, network and method are the front's, and every
    layer's widths of weights and activations as well.
    """
    layers = layers_of(front)
    found: dict[tuple[str, ...], list[float]] = {}
    facts = {key: str(front[key].iloc[0]) for key in ("dataset", "model", "method")}
    for record in records:
        top1 = record.summary.get("top1")
        if isinstance(top1, int | float) and all(
            str(record.summary.get(key)) == value for key, value in facts.items()
        ):
            found.setdefault(widths(record, layers), []).append(float(top1))
    scores = [found.get(tuple(map(str, row)), []) for row in front[layers].to_numpy()]
    return front.assign(
        top1=[np.mean(values) if values else np.nan for values in scores],
        top1_sd=[np.std(values, ddof=1) if len(values) > 1 else np.nan for values in scores],
        runs=[len(values) for values in scores],
    )


def widths(record: Record, layers: Sequence[str]) -> tuple[str, ...]:
    """A run's "weight bits/activation bits" of these layers; empty texts for unknown layers."""
    table = record.layers()
    if not {"layer", "weight_bits", "activation_bits"} <= set(table.columns):
        return ()
    known = {
        str(row["layer"]): f"{row['weight_bits']:g}/{row['activation_bits']:g}"
        for row in rows(table)
    }
    return tuple(known.get(layer, "") for layer in layers)


def medians(front: pd.DataFrame) -> dict[float, float]:
    """Median omega of the random allocations, by their budget's share."""
    random = where(front, front.source == "random")
    return {float(share): float(group.omega.median()) for share, group in groups(random, ["share"])}


def advantage(front: pd.DataFrame) -> tuple[float, float] | None:
    """(share, factor): how much less harm than the median random allocation the ILP does.

    At the budget nearest to half of the range; None where the front has no random allocations.
    """
    random = medians(front)
    ilp: dict[float, Any] = {
        float(row["share"]): row["omega"] for row in rows(where(front, front.source == "ilp"))
    }
    shared = sorted(random.keys() & ilp.keys(), key=lambda share: abs(share - 0.5))
    if not shared or not ilp[shared[0]] > 0:
        return None
    return shared[0], random[shared[0]] / ilp[shared[0]]
