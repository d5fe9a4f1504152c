"""Fronts of allocations (`results/pareto/*.csv`): joined with the runs that trained them, drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.read import Record, read_csv
from dyadic.report.charts import scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import rows, where
from dyadic.report.data.seeds import over_seeds
from dyadic.report.text import percent, plural

COSTS = {
    "size": ("size_mib", "size", "MiB"),
    "gbops": ("gbops", "bit operations", "GBOPS"),
    "latency": ("latency_ms", "measured latency", "ms"),
}
"""By what a budget limits: the column, its name and unit."""

SLOTS = {"random": 4, "ilp": 0, "uniform": 2}  # slots of colour and shape; the last is on top
SUBJECT = ["dataset", "model", "method", "sensitivity", "float_seed", "float_network"]
CHOICE = ["source", "measure", "share", "budget", "fill_seed", "proven", "omega"]
KNOWN = [*SUBJECT, *CHOICE, *(cost[0] for cost in COSTS.values())]
KNOWN += ["training", "top1", "top1_sd", "runs"]


def read_fronts(folder: Path) -> dict[str, pd.DataFrame]:
    """Every front in the folder by its file's stem; files with other columns are left out."""
    frames = {path.stem: read_csv(path) for path in sorted(folder.glob("*.csv"))}
    needed = {*SUBJECT, *CHOICE}
    return {stem: frame for stem, frame in frames.items() if needed <= set(frame.columns)}


def layers_of(front: pd.DataFrame) -> list[str]:
    """The layers of a front, first to last: every column that is no other."""
    return [str(column) for column in front.columns if column not in KNOWN]


def allocations(front: pd.DataFrame) -> Any:
    """What tells an allocation from another: the widths of all layers, as one text."""
    return front[layers_of(front)].astype(str).agg(" ".join, axis=1)


def allocation_of(record: Record, front: pd.DataFrame) -> str:
    """A finished run's allocation as `allocations` writes it; "" for a run of something else.

    Data set, network, method and float network are the front's, and the record has its layers.
    """
    first, summary = front.iloc[0], record.summary
    alike = all(str(summary.get(k)) == str(first[k]) for k in ("dataset", "model", "method"))
    known = isinstance(summary.get("top1"), int | float)
    if not (alike and known and record.identity["network"] == first.float_network):
        return ""
    widths = {
        str(row["layer"]): f"{row['weight_bits']:g}/{row['activation_bits']:g}"
        for row in rows(record.layers())
    }
    return " ".join(widths.get(layer, "") for layer in layers_of(front))


def scored(front: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """The front with the scores of the runs that trained its allocations.

    `training` (schedule and epochs) is the one that has most runs; `top1` (mean, percent),
    `top1_sd` and `runs`, which counts seeds and is 0 where there are none.
    """
    keys = allocations(front)
    found = [
        (_training(record), own, record.summary.get("seed"), float(record.summary["top1"]))
        for record in records
        if (own := allocation_of(record, front)) in set(keys)
    ]
    runs = pd.DataFrame(found, columns=["training", "widths", "seed", "top1"])
    training = "" if runs.empty else str(runs.training.mode()[0])
    scores = over_seeds(where(runs, runs.training == training), ["widths"], ["top1"])
    own = scores.set_index("widths").reindex(keys).set_index(front.index)
    measured = own[["top1", "top1_sd"]].astype(float)
    return front.assign(training=training, **measured, runs=own.seeds.fillna(0).astype(int))


def _training(record: Record) -> str:
    """How a run trained: schedule and epochs; one of no epochs was only quantized."""
    epochs = record.summary.get("epochs")
    count = int(epochs.get("quantize", 0)) if isinstance(epochs, dict) else 0
    trained = f"{record.summary.get('schedule')}, {plural(count, 'epoch')}"
    return trained if count else "without training"


def advantage(front: pd.DataFrame) -> tuple[float, float] | None:
    """(share, factor): how much less harm than the median random allocation the ILP does.

    At the budget nearest to half of the range; None where the front has no random allocations.
    """
    random = where(front, front.source == "random").groupby("share").omega.median()
    ilp = where(front, (front.source == "ilp") & (front.omega > 0)).set_index("share").omega
    factors = (random / ilp).dropna()
    share = min(factors.index, key=lambda share: abs(share - 0.5), default=None)
    return None if share is None else (float(share), float(factors[share]))


def front_sections(
    frames: Mapping[str, pd.DataFrame], records: Sequence[Record]
) -> list[dict[str, Any]]:
    """A section a front, in the order of the names: what it is of, and its figures."""
    found = []
    for front in frames.values():
        first, counts = front.iloc[0], front.source.value_counts()
        budgets, random = (int(counts.get(source, 0)) for source in ("ilp", "random"))
        summary = f"Sensitivity: {first.sensitivity}; {plural(budgets, 'budget')}, "
        summary += f"{plural(random, 'random allocation')}."
        drawn = [omega_figure(front), accuracy_figure(scored(front, records))]
        title = f"{first.model} on {first.dataset}, {first.method}"
        found.append({"title": title, "summary": summary, "figures": list(filter(None, drawn))})
    return found


def omega_figure(front: pd.DataFrame) -> Drawing:
    """Omega against the cost that the budgets limit."""
    found = advantage(front)
    title = f"{len(front)} allocations of {len(layers_of(front))} layers"
    if found is not None:
        title = f"At {found[0]:.0%} random widths do {found[1]:.1f} times the ILP's harm"
    title = title.replace("%", " %")
    note = "Sum over the layers. Budgets in percent of the way from all layers low to all high."
    log = bool(min(front.omega) > 0 and front.omega.nunique() > 1)
    return _drawn(title, front, "omega", "omega, predicted harm", note, log)


def accuracy_figure(front: pd.DataFrame) -> Drawing | None:
    """Top-1 of the allocations that runs have against their cost; None for fewer than two costs."""
    trained = where(front, front.runs > 0)
    if len(set(trained[COSTS[str(front.measure.iloc[0])][0]])) < 2:
        return None
    note = f"Runs with exactly these widths, {trained.training.iloc[0]}."
    title = f"Top-1 of {len(trained)} allocations that runs trained"
    return _drawn(title, trained, "top1", "top-1, %", note)


def _drawn(
    title: str, front: pd.DataFrame, value: str, label: str, note: str, log: bool = False
) -> Drawing:
    """A value against the cost: random allocations first and faint, the ILP's joined."""
    cost, name, unit = COSTS[str(front.measure.iloc[0])]
    rank = front.source.map([*SLOTS].index)
    table = front.assign(rank=rank).sort_values(["rank", cost])
    points = {
        "series": table.source,
        "x": table[cost],
        "y": table[value],
        "sd": table.top1_sd if value == "top1" else 0.0,
        "joined": table.source == "ilp",
        "weight": table.source.map({"random": 0.4}).fillna(1.0),
        "says": [_hint(row, cost, unit) for row in rows(table)],
    }
    return scores(title, pd.DataFrame(points), (f"{name}, {unit}", label), SLOTS, note, log=log)


def _hint(row: dict[str, Any], cost: str, unit: str) -> str:
    words = f"omega {row['omega']:.3g}, {row[cost]:.4g} {unit}"
    if row.get("runs"):
        words += f", top-1 {percent(row['top1'], row['top1_sd'])} %, {plural(row['runs'], 'run')}"
    return words
