"""Fronts of allocations (`results/pareto/*.csv`): joined with the runs that trained them, drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.read import Record, read_csv
from dyadic.report.charts import Drawing, scores
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import done_runs, over_seeds
from dyadic.report.tables import percent, plural, rows, where

COSTS = {
    "size": ("size_mib", "size, MiB"),
    "gbops": ("gbops", "bit operations, GBOPS"),
    "latency": ("latency_ms", "measured latency, ms"),
}
"""By what a budget limits: the column, its name and unit."""

FACTS = ["dataset", "model", "float_network", "method"]
SOURCES = ["random", "ilp", "uniform"]


def read_fronts(folder: Path) -> list[pd.DataFrame]:
    """Every front in the folder, by name; files with other columns are left out."""
    needed = {*FACTS, "sensitivity", "source", "measure", "omega"}
    frames = [read_csv(path) for path in sorted(folder.glob("*.csv"))]
    return [frame for frame in frames if set(frame.columns) >= needed]


def layers_of(front: pd.DataFrame) -> list[str]:
    """The layers of a front, first to last: every column of widths such as `4/8`."""
    widths = r"[\d.]+/[\d.]+"
    return [str(name) for name in front if front[name].astype(str).str.fullmatch(widths).all()]


def scored(front: pd.DataFrame, records: Sequence[Record]) -> pd.DataFrame:
    """The front with the scores of the runs that trained its allocations.

    A run counts with the front's data, network, method and float network, and exactly its widths.
    `training` (schedule and epochs) is the one that has most runs; `top1` (mean, percent),
    `top1_sd` and `runs`, which counts seeds and is 0 where there are none.
    """
    layers, first = layers_of(front), front.iloc[0]
    keys: Any = front[layers].astype(str).agg(" ".join, axis=1)
    own = {r.name: r for r in records if r.summary.get("method") == first.method}
    runs = done_runs(overview(list(own.values())))
    runs = where(runs, (runs[FACTS] == first[FACTS]).all(axis=1))
    runs = runs.assign(widths=[_widths(own[name], layers) for name in runs.name])
    runs = where(runs, runs.widths.isin(keys))
    epochs = runs.epochs_quantize.fillna(0).astype(int)
    trained = runs.schedule + ", " + epochs.map(lambda count: plural(count, "epoch"))
    runs["training"] = trained.where(epochs > 0, "without training")
    training = next(iter(runs.training.mode()), "")
    means = over_seeds(where(runs, runs.training == training), ["widths"], ["top1"])
    found = means.set_index("widths").reindex(keys).set_index(front.index)
    measured = found[["top1", "top1_sd"]].astype(float)
    return front.assign(training=training, **measured, runs=found.seeds.fillna(0).astype(int))


def _widths(record: Record, layers: Sequence[str]) -> str:
    """A run's widths as a front has them, first layer to last; "" where it has no such layers."""
    found = {row["layer"]: row for row in rows(record.layers())}
    if not found.keys() >= set(layers):
        return ""
    return " ".join("{weight_bits:g}/{activation_bits:g}".format(**found[k]) for k in layers)


def advantage(front: pd.DataFrame) -> tuple[float, float] | None:
    """(share, factor): how much less harm than the median random allocation the ILP does.

    At the budget nearest to half of the range; None where the front has no random allocations.
    """
    random = where(front, front.source == "random").groupby("share").omega.median()
    ilp = where(front, (front.source == "ilp") & (front.omega > 0)).set_index("share").omega
    factors = (random / ilp).dropna()
    share = min(factors.index, key=lambda share: abs(share - 0.5), default=None)
    return None if share is None else (float(share), float(factors[share]))


def omega_figure(front: pd.DataFrame) -> Drawing:
    """Omega against the cost that the budgets limit: random ones first and faint, the ILP's joined.

    Hovering tells the top-1 of an allocation that runs trained.
    """
    first = front.iloc[0]
    title = f"{len(front)} allocations of {len(layers_of(front))} layers"
    if found := advantage(front):
        title = f"At {100 * found[0]:.0f} % random widths do {found[1]:.1f} times the ILP's harm"
    note = f"{first.model} on {first.dataset}, {first.method}; harm by {first.sensitivity}, summed"
    note += " over the layers. Budgets in percent of the way from all layers low to all high."
    cost, axis = COSTS[first.measure]
    table = front.assign(rank=front.source.map(SOURCES.index)).sort_values(["rank", cost])
    points = {
        "series": table.source,
        "x": table[cost],
        "y": table.omega,
        "joined": table.source == "ilp",
        "weight": table.source.map({"random": 0.4}).fillna(1.0),
        "says": [_hint(row, cost) for row in rows(table)],
    }
    axes, log = (axis, "omega, predicted harm"), front.omega.min() > 0 and front.omega.nunique() > 1
    return scores(title, pd.DataFrame(points), axes, sorted(SOURCES), note, log=bool(log))


def _hint(row: dict[str, Any], cost: str) -> str:
    words = f"omega {row['omega']:.3g}, {row[cost]:.4g}"
    if row.get("runs"):
        words += f", top-1 {percent(row['top1'], row['top1_sd'])} %, {plural(row['runs'], 'run')}"
    return words
