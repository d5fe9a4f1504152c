"""Fronts as charts: harm against cost, and top-1 where runs trained the allocations."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dyadic.record.read import Record
from dyadic.report.charts import charts
from dyadic.report.charts.charts import Point, Series
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.fronts import COSTS, advantage, layers_of, matching, trainings
from dyadic.report.page.overview import Figure, percent, plural

LABELS = {
    "size_mib": ("size", "MiB"),
    "gbops": ("bit operations", "GBOPS"),
    "latency_ms": ("measured latency", "ms"),
}
"""Name and unit of every cost."""

SOURCES = {"random": (4, "dot faint"), "ilp": (0, "dot"), "uniform": (2, "dot")}
"""Colour and shape of every source, and its style; the last is drawn on top."""


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


def omega_figure(front: pd.DataFrame, marked: Point | None = None) -> Figure:
    """Omega against the cost that the budgets limit; `marked` is a point to point at."""
    cost = _cost(front)
    series = [
        Series(source, slot, _points(part, cost, "omega"), style, joined=source == "ilp")
        for source, slot, style, part in _parts(front)
    ]
    if marked is not None:
        series.append(Series("this run", 1, [marked], "ring"))
    found = advantage(front)
    title = f"{len(front)} allocations of {len(layers_of(front))} layers"
    if found is not None:
        title = f"{_at(found[0])} random widths do {found[1]:.1f} times the ILP's harm"
    note = "Sum over the layers, a log scale. Half way is between all layers low and all high."
    log = min(front.omega) > 0
    drawing = charts.scatter(
        series,
        [],
        _label(cost),
        "omega, predicted harm",
        title,
        log_y=log and front.omega.nunique() > 1,
    )
    return Figure(title, drawing, note)


def accuracy_figure(front: pd.DataFrame) -> Figure | None:
    """Top-1 of the allocations that were trained against their cost; None for fewer than two."""
    trained = where(front, front.runs > 0)
    cost = _cost(front)
    if len(set(trained[cost])) < 2:
        return None
    series = [
        Series(source, slot, _points(part, cost, "top1"), style, joined=source == "ilp")
        for source, slot, style, part in _parts(trained)
    ]
    title, label = _against_random(trained), _label(cost)
    note = f"Runs with exactly these widths, {trained.training.iloc[0]}."
    drawing = charts.scatter(series, [], label, "top-1, %", title)
    return Figure(title, drawing, note)


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


def run_figure(record: Record, frames: Mapping[str, pd.DataFrame]) -> Figure | None:
    """The front that a run's widths are on, with the run marked; None where there is none."""
    for frame in frames.values():
        match = matching(frame, record)
        if match.any():
            row = where(frame, match).iloc[0]
            figure = omega_figure(frame, Point(float(row[_cost(frame)]), float(row.omega)))
            return Figure("Where this run is on the front", figure.svg, figure.title + ".")
    return None


def _at(share: float) -> str:
    """A budget between all layers low and all layers high.

    >>> _at(0.5), _at(0.25)
    ('Half way', 'At 25 %')
    """
    return "Half way" if share == 0.5 else f"At {100 * share:.0f} %"


def _cost(front: pd.DataFrame) -> str:
    return COSTS[str(front.measure.iloc[0])]


def _label(cost: str) -> str:
    return ", ".join(LABELS[cost])


def _parts(front: pd.DataFrame) -> list[tuple[str, int, str, pd.DataFrame]]:
    """The sources that the front has, in the order of drawing."""
    found = [(name, *look, where(front, front.source == name)) for name, look in SOURCES.items()]
    return [part for part in found if len(part[-1])]


def _points(part: pd.DataFrame, cost: str, value: str) -> list[Point]:
    """Points by ascending cost; random ones are too many for words of their own."""
    ascending = rows(part.sort_values(cost, kind="stable"))
    return [
        Point(row[cost], row[value], _spread(row, value), _hint(row, cost)) for row in ascending
    ]


def _spread(row: dict[str, Any], value: str) -> float:
    deviation = row.get("top1_sd", float("nan")) if value == "top1" else float("nan")
    return float(deviation) if deviation == deviation else 0.0


def _hint(row: dict[str, Any], cost: str) -> str:
    if row["source"] == "random" and not row.get("runs"):
        return ""
    words = f"{row['source']}: omega {row['omega']:.3g}, {row[cost]:.4g} {LABELS[cost][1]}"
    if row.get("runs"):
        words += f", top-1 {percent(row['top1'], row['top1_sd'])} %, {plural(row['runs'], 'run')}"
    return words
