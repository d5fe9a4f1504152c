"""Fronts as charts: harm against cost, and top-1 where runs trained the allocations."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from dyadic.record.read import Record
from dyadic.report.charts.charts import scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.fronts import COSTS, advantage, layers_of, matching, trainings
from dyadic.report.text import percent, plural

LABELS = {
    "size_mib": ("size", "MiB"),
    "gbops": ("bit operations", "GBOPS"),
    "latency_ms": ("measured latency", "ms"),
}
"""Name and unit of every cost."""

THIS_RUN = "this run"
SOURCES = {"random": 4, "ilp": 0, "uniform": 2, THIS_RUN: 1}
"""Colour and shape of every source; the last is drawn on top."""


def fronts(frames: Mapping[str, pd.DataFrame], records: Sequence[Record]) -> list[dict[str, Any]]:
    """A section a front, in the order of the names: what it is of, and its figures."""
    return [_section(stem, frame, records) for stem, frame in frames.items()]


def _section(stem: str, front: pd.DataFrame, records: Sequence[Record]) -> dict[str, Any]:
    first = front.iloc[0]
    counts = front.source.value_counts()
    numbers = [plural(int(counts.get("ilp", 0)), "budget")]
    numbers.append(f"{int(counts.get('random', 0))} random allocations")
    found = [omega_figure(front), *map(accuracy_figure, trainings(front, records))]
    return {
        "name": stem,
        "title": f"{first.model} on {first.dataset}, {first.method}",
        "summary": f"Sensitivity: {first.sensitivity}; {', '.join(numbers)}.",
        "figures": [figure for figure in found if figure is not None],
    }


def omega_figure(front: pd.DataFrame, marked: tuple[float, float] | None = None) -> Drawing:
    """Omega against the cost that the budgets limit; `marked` is a point to point at."""
    cost = _cost(front)
    points = _points(front, cost, "omega")
    if marked is not None:
        own = {"series": THIS_RUN, "x": marked[0], "y": marked[1], "says": "", "solid": False}
        points = pd.concat([points, pd.DataFrame([dict(points.iloc[0]) | own | {"joined": False}])])
        points = points.fillna({"weight": 1.0})
    found = advantage(front)
    title = f"{len(front)} allocations of {len(layers_of(front))} layers"
    if found is not None:
        title = f"{_at(found[0])} random widths do {found[1]:.1f} times the ILP's harm"
    note = "Sum over the layers, a log scale. Half way is between all layers low and all high."
    log = bool(min(front.omega) > 0 and front.omega.nunique() > 1)
    labels = (", ".join(LABELS[cost]), "omega, predicted harm")
    return scores(title, points, labels, SOURCES, note, log=log)


def accuracy_figure(front: pd.DataFrame) -> Drawing | None:
    """Top-1 of the allocations that were trained against their cost; None for fewer than two."""
    trained = where(front, front.runs > 0)
    cost = _cost(front)
    if len(set(trained[cost])) < 2:
        return None
    note = f"Runs with exactly these widths, {trained.training.iloc[0]}."
    labels = (", ".join(LABELS[cost]), "top-1, %")
    return scores(_against_random(trained), _points(trained, cost, "top1"), labels, SOURCES, note)


def _against_random(trained: pd.DataFrame) -> str:
    """The ILP and the random allocations of one budget, as a sentence."""
    budgets = groups(where(trained, trained.share.notna()), ["share"])
    for share, group in sorted(budgets, key=lambda item: abs(item[0] - 0.5)):
        ilp, random = (where(group, group.source == name).top1 for name in ("ilp", "random"))
        if len(ilp) and len(random):
            gain = float(ilp.mean() - random.mean())
            return (
                f"{_at(share)} the ILP is {abs(gain):.2f} points "
                f"{'above' if gain >= 0 else 'below'} {plural(len(random), 'random allocation')}"
            )
    best = trained.loc[trained.top1.idxmax()]
    return f"Best of {len(trained)} trained allocations: {percent(best.top1)} %, {best.source}"


def run_figure(record: Record, frames: Mapping[str, pd.DataFrame]) -> Drawing | None:
    """The front that a run's widths are on, with the run marked; None where there is none."""
    for frame in frames.values():
        match = matching(frame, record)
        if match.any():
            row = where(frame, match).iloc[0]
            drawn = omega_figure(frame, (float(row[_cost(frame)]), float(row.omega)))
            return replace(drawn, title="Where this run is on the front", note=f"{drawn.title}.")
    return None


def _at(share: float) -> str:
    """A budget between all layers low and all layers high.

    >>> _at(0.5), _at(0.25)
    ('Half way', 'At 25 %')
    """
    return "Half way" if share == 0.5 else f"At {100 * share:.0f} %"


def _cost(front: pd.DataFrame) -> str:
    return COSTS[str(front.measure.iloc[0])]


def _points(front: pd.DataFrame, cost: str, value: str) -> pd.DataFrame:
    """What `scatter` draws: random allocations first and faint, the ILP's joined."""
    ranked = [*SOURCES].index
    table = front.sort_values(
        ["source", cost], key=lambda c: c.map(ranked) if c.name == "source" else c
    )
    ilp = table.source == "ilp"
    sd = table.top1_sd if value == "top1" else 0.0
    weight = [0.4 if source == "random" else 1.0 for source in table.source]
    return pd.DataFrame(
        {"series": table.source, "x": table[cost], "y": table[value], "sd": sd, "joined": ilp}
        | {"weight": weight, "solid": True, "says": [_hint(row, cost) for row in rows(table)]}
    )


def _hint(row: dict[str, Any], cost: str) -> str:
    words = f"omega {row['omega']:.3g}, {row[cost]:.4g} {LABELS[cost][1]}"
    if row.get("runs"):
        words += f", top-1 {percent(row['top1'], row['top1_sd'])} %, {plural(row['runs'], 'run')}"
    return words
