"""The charts: pure functions from numbers to SVG text, each with axes, units and a description.

All are drawn 420 pixels wide, so that a phone shows them at their own size and a desk screen shows
three beside each other with the same letters.
"""

import math
import sys
from dataclasses import dataclass, field, replace

from dyadic.report.charts import svg
from dyadic.report.charts.svg import Axis

WIDTH = 420.0
HEIGHT = 270.0
LEFT, TOP, BOTTOM = 44.0, 24.0, 38.0
BELOW = 14.0
"""Height of a row of marks under the axis."""


@dataclass(frozen=True)
class Point:
    """One mark: position, half the length of its whisker, and the words behind it."""

    x: float
    y: float
    spread: float = 0.0
    hint: str = ""


@dataclass(frozen=True)
class Series:
    """A named row of points; `slot` picks its colour and shape, `style` a variant of the mark.

    joined: in a scatter, a line runs through the points in their order.
    """

    label: str
    slot: int
    points: list[Point] = field(default_factory=list)
    style: str = "dot"
    joined: bool = False


def frame(
    x: Axis,
    y: Axis,
    x_label: str,
    y_label: str,
    x_ticks: list[float] | None = None,
    below: float = 0.0,
) -> str:
    """Grid lines, ticks and both axis labels; `below` is the room kept under the axis."""
    parts = [svg.text(y_label, 0.0, 11.0, "axis")]
    for value in y.ticks(5):
        parts.append(svg.line(x.start, y(value), x.end, y(value), "grid"))
        parts.append(svg.text(f"{value:g}", x.start - 7, y(value) + 4, "tick", "end"))
    bottom = y.start + below
    for value in x.ticks(6) if x_ticks is None else x_ticks:
        parts.append(svg.text(f"{value:g}", x(value), bottom + 16, "tick", "middle"))
    parts.append(svg.line(x.start, y.start, x.end, y.start, "base"))
    parts.append(svg.text(x_label, x.end, bottom + 32, "axis", "end"))
    return "".join(parts)


def lines(
    series: list[Series],
    x_label: str,
    y_label: str,
    description: str,
    reference: tuple[float, str] | None = None,
    floor: float | None = None,
) -> str:
    """Lines with whiskers and a name at each end; `reference` is a dashed level with its name.

    Points below `floor` stand under the axis with their values, so that one collapse does not
    flatten everything else.
    """
    fallen = [(p, s) for s in series for p in s.points if floor is not None and p.y < floor]
    rows = max((sum(q.x == p.x for q, _ in fallen) for p, _ in fallen), default=0)
    height = HEIGHT + BELOW * rows
    levels = [p.y for s in series for p in s.points if floor is None or p.y >= floor]
    levels += [reference[0]] if reference else []
    xs = [p.x for s in series for p in s.points]
    right = WIDTH - max(svg.text_width(s.label) for s in series) - 16
    x = Axis(*svg.padded(xs, 0.05), LEFT, right)
    low, high = svg.padded(levels, 0.06)
    y = Axis(low if floor is None else floor, high, HEIGHT - BOTTOM, TOP)
    whole = sorted(set(xs)) if len(set(xs)) < 9 else None
    parts = [frame(x, y, x_label, y_label, whole, BELOW * rows)]
    if reference:
        level = y(reference[0])
        parts.append(svg.line(x.start, level, x.end, level, "reference"))
        parts.append(svg.text(reference[1], x.start + 4, level - 5, "tick"))
    parts += [_curve(s, x, y) for s in series]
    parts += [_fallen(fallen, x, y), _names(series, x, y)]
    return svg.canvas(WIDTH, height, description, *parts)


def _curve(series: Series, x: Axis, y: Axis) -> str:
    colour = f"s{series.slot % svg.SERIES_COLOURS}"
    places = [(x(p.x), min(y(p.y), y.start)) for p in series.points]
    parts = [svg.path(places, f"curve {colour}")] if len(places) > 1 else []
    for point, (px, py) in zip(series.points, places, strict=True):
        if point.y < y.low:
            continue
        parts.append(_whisker(point, px, y, colour))
        parts.append(svg.marker(px, py, series.slot, svg.hint(point.hint)))
    return "".join(parts)


def _whisker(point: Point, px: float, y: Axis, colour: str) -> str:
    """The point's spread, as far as the axis goes."""
    if not point.spread:
        return ""
    top, bottom = min(point.y + point.spread, y.high), max(point.y - point.spread, y.low)
    return svg.line(px, y(top), px, y(bottom), f"whisker {colour}")


def _fallen(fallen: list[tuple[Point, Series]], x: Axis, y: Axis) -> str:
    """The points under the axis: per x a stack of mark and value, best first."""
    parts, filled = [], dict[float, int]()
    for point, series in sorted(fallen, key=lambda item: -item[0].y):
        row = filled[point.x] = filled.get(point.x, 0) + 1
        px, py = x(point.x), y.start + BELOW * row - 4
        parts.append(svg.marker(px, py, series.slot, svg.hint(point.hint), r=3.4))
        parts.append(svg.text(f"{point.y:.1f}", px + 8, py + 4, "tick"))
    return "".join(parts)


def _names(series: list[Series], x: Axis, y: Axis) -> str:
    ends = [min(y(s.points[-1].y), y.start) for s in series]
    heights = svg.spread(ends, 14.0, TOP, HEIGHT - BOTTOM)
    parts = []
    for s, end, height in zip(series, ends, heights, strict=True):
        colour, last = f"s{s.slot % svg.SERIES_COLOURS}", x(s.points[-1].x)
        leader = [(last + 6, end), (x.end + 4, end), (x.end + 11, height)]
        parts.append(svg.path(leader, f"leader {colour}"))
        parts.append(svg.text(s.label, x.end + 14, height + 4, f"name {colour}"))
    return "".join(parts)


def scatter(
    series: list[Series],
    front: list[tuple[float, float, str]],
    x_label: str,
    y_label: str,
    description: str,
    floor: float | None = None,
    whole: bool = False,
    log_y: bool = False,
) -> str:
    """Points of every series, the front as a staircase with its corners named, and a legend.

    front: (x, y, name) of the points that no other beats in both, ascending in x; floor: points
    below it are left out; whole: x takes few values (bits), and each of them is a tick; log_y: the
    values span orders of magnitude, and what is not above 0 is left out.
    """
    rows = legend_rows(series)
    height = HEIGHT + 16 * len(rows)
    low_y = sys.float_info.min if log_y else -math.inf if floor is None else floor
    shown = [replace(s, points=[p for p in s.points if p.y >= low_y]) for s in series]
    kept = [p for s in shown for p in s.points]
    values = [p.x for p in kept]
    x = _scale(values, LEFT, WIDTH - 16, not whole and _wide(values), 0.06)
    y = _scale([p.y for p in kept], HEIGHT - BOTTOM, TOP, log_y, 0.08)
    parts = [frame(x, y, x_label, y_label, sorted(set(values)) if whole else None)]
    parts.append(_front(front, x, y))
    parts += [_marks(s, x, y) for s in shown]
    parts.append(_corners([(x(px), y(py), name) for px, py, name in front]))
    parts.append(legend(rows, HEIGHT + 10))
    return svg.canvas(WIDTH, height, description, *parts)


def _marks(series: Series, x: Axis, y: Axis) -> str:
    colour = f"s{series.slot % svg.SERIES_COLOURS}"
    places = [(x(p.x), y(p.y)) for p in series.points]
    parts = [svg.path(places, f"curve {colour}")] if series.joined and len(places) > 1 else []
    for point, (px, py) in zip(series.points, places, strict=True):
        parts.append(_whisker(point, px, y, colour))
        hint = svg.hint(point.hint) if point.hint else ""
        parts.append(svg.marker(px, py, series.slot, hint, series.style, 3.4))
    return "".join(parts)


def _wide(values: list[float]) -> bool:
    return min(values) > 0 and max(values) > 8 * min(values)


def _scale(values: list[float], start: float, end: float, log: bool, share: float) -> Axis:
    """An axis over the values with a margin at both ends."""
    if not log:
        return Axis(*svg.padded(values, share), start, end)
    margin = max((max(values) / min(values)) ** share, 1.2)
    return Axis(min(values) / margin, max(values) * margin, start, end, log=True)


def _front(front: list[tuple[float, float, str]], x: Axis, y: Axis) -> str:
    if not front:
        return ""
    steps = [(x(front[0][0]), y.start)]
    for px, py, _ in front:
        steps += [(x(px), steps[-1][1]), (x(px), y(py))]
    return svg.path([*steps, (x.end, steps[-1][1])], "front")


def _corners(places: list[tuple[float, float, str]]) -> str:
    """The corners' names; one that would cover an earlier name is left out."""
    parts, taken = [], list[tuple[float, float]]()
    for px, py, name in places:
        width = svg.text_width(name, 10)
        ends = px > WIDTH - 90
        left = px - 7 - width if ends else px + 7
        if all(abs(py - y) > 11 or left > right + 4 for right, y in taken):
            taken.append((left + width, py))
            place, anchor = (px - 7, "end") if ends else (px + 7, "start")
            parts.append(svg.text(name, place, py - 6, "tick halo", anchor))
    return "".join(parts)


def legend_rows(series: list[Series], width: float = WIDTH - LEFT) -> list[list[Series]]:
    """The series broken into rows that fit the width."""
    rows: list[list[Series]] = [[]]
    used = 0.0
    for s in series:
        needed = svg.text_width(s.label) + 28
        if used + needed > width and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append(s)
        used += needed
    return rows


def legend(rows: list[list[Series]], top: float) -> str:
    """Marks and names, row by row."""
    parts = []
    for index, row in enumerate(rows):
        left, height = LEFT, top + 16 * index
        for s in row:
            parts.append(svg.marker(left + 4, height - 4, s.slot, "", s.style, 3.6))
            parts.append(svg.text(s.label, left + 13, height, "label"))
            left += svg.text_width(s.label) + 28
    return "".join(parts)
