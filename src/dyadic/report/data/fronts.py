"""Fronts of allocations (`results/pareto/*.csv`), joined with the runs that trained them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.record.read import Record, read_csv
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.seeds import over_seeds

COSTS = {"size": "size_mib", "gbops": "gbops", "latency": "latency_ms"}
"""The column of what each measure's budget limits."""

FACTS = ["dataset", "model", "method", "sensitivity", "float_seed", "float_network"]
CHOICE = ["source", "measure", "share", "budget", "fill_seed", "proven", "omega"]
SCORES = ["training", "top1", "top1_sd", "runs"]
KNOWN = [*FACTS, *CHOICE, *COSTS.values(), *SCORES]


def read_fronts(folder: Path) -> dict[str, pd.DataFrame]:
    """Every front in the folder by its file's stem; files with other columns are left out."""
    frames = {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}
    needed = {*FACTS, *CHOICE}
    return {stem: frame for stem, frame in frames.items() if needed <= set(frame.columns)}


def layers_of(front: pd.DataFrame) -> list[str]:
    """The layers of a front, first to last: every column that is no other."""
    return [str(column) for column in front.columns if column not in KNOWN]


def trainings(front: pd.DataFrame, records: Sequence[Record]) -> list[pd.DataFrame]:
    """The front once for every way in which runs trained its allocations; most runs first.

    Each with `training` (schedule and epochs), `top1` (mean, percent), `top1_sd` and `runs`. A run
    trained an allocation when data set, network, method and float network are the front's, and
    every layer's widths of weights and activations as well.
    """
    layers = layers_of(front)
    keys = _keys(front)
    found = [
        {"training": _training(record), "widths": own, "seed": record.summary.get("seed")}
        | {"top1": float(record.summary["top1"])}
        for record in records
        if _same(front, record) and (own := " ".join(widths(record, layers))) in set(keys)
    ]
    if not found:
        return []
    scores = over_seeds(pd.DataFrame(found), ["training", "widths"], ["top1"])
    tables = [_joined(front, label, own) for label, own in groups(scores, ["training"])]
    return sorted(tables, key=lambda table: -int(table.runs.sum()))


def _keys(front: pd.DataFrame) -> list[str]:
    """What tells an allocation from another: the widths of all layers, as one text."""
    return [" ".join(row) for row in front[layers_of(front)].astype(str).to_numpy()]


def matching(front: pd.DataFrame, record: Record) -> NDArray[np.bool_]:
    """Which rows of the front have the widths of a run; none where the run is of something else."""
    if not _same(front, record):
        return np.zeros(len(front), dtype=bool)
    own = " ".join(widths(record, layers_of(front)))
    return np.array([key == own for key in _keys(front)], dtype=bool)


def scored(front: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """The front with the scores of the training that has most runs; empty ones without any."""
    none = pd.DataFrame(columns=["widths", "top1", "top1_sd", "seeds"])
    return next(iter(trainings(front, records)), _joined(front, "", none))


def _joined(front: pd.DataFrame, label: str, scores: pd.DataFrame) -> pd.DataFrame:
    """The front with the scores of its widths; `runs` counts seeds, 0 where there are none."""
    own = scores.set_index("widths").reindex(_keys(front))
    return front.assign(
        training=label,
        top1=own.top1.astype(float).to_numpy(),
        top1_sd=own.top1_sd.astype(float).to_numpy(),
        runs=own.seeds.fillna(0).astype(int).to_numpy(),
    )


def _same(front: pd.DataFrame, record: Record) -> bool:
    """Whether a finished run has the front's data, network, method and float network."""
    if not isinstance(record.summary.get("top1"), int | float):
        return False
    first = front.iloc[0]
    named = all(
        str(record.summary.get(key)) == str(first[key]) for key in ("dataset", "model", "method")
    )
    return named and record.identity["network"] == first.float_network


def _training(record: Record) -> str:
    """How a run trained: schedule and epochs.

    A run of no epochs was only quantized, whatever its schedule.
    """
    epochs = record.summary.get("epochs")
    count = int(epochs.get("quantize", 0)) if isinstance(epochs, dict) else 0
    if not count:
        return "without training"
    return f"{record.summary.get('schedule')}, {count} {'epoch' if count == 1 else 'epochs'}"


def widths(record: Record, layers: Sequence[str]) -> tuple[str, ...]:
    """A run's "weight bits/activation bits" of these layers; empty texts for unknown layers."""
    table = record.layers()
    if not {"layer", "weight_bits", "activation_bits"} <= set(table.columns):
        return ("",) * len(layers)
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
