"""The charts of a single run: training, layers, histograms with levels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dyadic.report.charts import svg
from dyadic.report.charts.charts import BOTTOM, HEIGHT, LEFT, TOP, WIDTH
from dyadic.report.charts.svg import Axis

ROW = 15.0
BINS = 48
LEVELS_DRAWN = 65


@dataclass(frozen=True)
class Panel:
    """One column of a layer chart: values of all layers, as bars from zero or dots on a log axis.

    digits: decimals of the printed values; kind: `bar` or `dot`.
    """

    title: str
    values: Sequence[float]
    digits: int = 1
    kind: str = "bar"


def layers(names: list[str], panels: list[Panel], description: str) -> str:
    """A row a layer, from the input down, and one panel beside the other."""
    shown = short_names(names)
    left = max(svg.text_width(name, 10) for name in shown) + 10
    each = (WIDTH - left) / len(panels)
    height = TOP + ROW * len(names) + 8
    parts = [
        svg.text(name, left - 8, TOP + ROW * (k + 0.5) + 4, "tick", "end")
        for k, name in enumerate(shown)
    ]
    for index, panel in enumerate(panels):
        start = left + each * index
        parts.append(svg.text(panel.title, start, 11.0, "axis"))
        parts.append(svg.line(start, TOP, start, height - 8, "base"))
        room = svg.text_width(_value(max(panel.values, key=_finite), panel), 10) + 16
        parts.append(_panel(panel, start, start + each - room))
    return svg.canvas(WIDTH, height, description, *parts)


def _panel(panel: Panel, start: float, end: float) -> str:
    values = [_finite(v) for v in panel.values]
    axis = Axis(0.0, max([*values, 0.0]) or 1.0, start, end)
    if panel.kind == "dot":
        positive = [v for v in values if v > 0] or [1.0]
        axis = Axis(min(positive) / 1.5, max(positive) * 1.001, start, end, log=True)
    parts = []
    for k, value in enumerate(values):
        middle = TOP + ROW * (k + 0.5)
        if not np.isfinite(panel.values[k]):
            parts.append(svg.text("–", start + 6, middle + 4, "tick"))
            continue
        reach = axis(value) if value > 0 else start
        if panel.kind == "bar":
            width = max(reach - start, 0.0)
            parts.append(
                svg.tag("rect", class_="bar", x=start, y=middle - 4.5, width=width, height=9.0)
            )
        else:
            parts.append(svg.line(start, middle, reach, middle, "grid"))
            parts.append(svg.tag("circle", class_="mark", cx=reach, cy=middle, r=3.2))
        parts.append(svg.text(_value(value, panel), reach + 6, middle + 4, "tick"))
    return "".join(parts)


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


def _value(value: float, panel: Panel) -> str:
    if panel.kind == "bar":
        return f"{value:.{panel.digits}f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def short_names(names: list[str]) -> list[str]:
    """Layer names without the modules that all of them lie in.

    >>> short_names(["body.conv1", "body.layer1.0.conv1"])
    ['conv1', 'layer1.0.conv1']
    """
    parents = [name.split(".")[:-1] for name in names]
    common = 0
    while all(len(p) > common and p[common] == parents[0][common] for p in parents):
        common += 1
    return [".".join(name.split(".")[common:]) for name in names]


def histogram(
    weights: tuple[NDArray, NDArray],
    errors: tuple[NDArray, NDArray],
    levels: NDArray,
    name: str,
    fact: str,
) -> str:
    """Weights of a layer with its levels as ticks, and below them the quantization errors.

    weights, errors: (counts [n], edges [n + 1]); both are drawn on the weights' axis, so their
    widths can be compared by eye.
    """
    width, height = 200.0, 128.0
    edges = weights[1]
    reach = float(max(abs(edges[0]), abs(edges[-1]), np.abs(levels).max(initial=0.0))) or 1.0
    x = Axis(-reach, reach, 2.0, width - 2)
    room = int((width - svg.text_width(fact, 10)) / (svg.GLYPH_WIDTH * 12))
    parts = [
        svg.text(name if len(name) <= room else f"…{name[1 - room :]}", 2.0, 11.0, "label strong"),
        svg.text(fact, width - 2, 11.0, "tick", "end"),
        _area(weights, x, 66.0, 44.0, "area"),
        _level_marks(levels, x),
        _area(errors, x, 110.0, 32.0, "area error"),
        svg.line(x.start, 110.0, x.end, 110.0, "base"),
        svg.text(f"{-reach:.2g}", x.start, 123.0, "tick"),
        svg.text("0", x(0), 123.0, "tick", "middle"),
        svg.text(f"{reach:.2g}", x.end, 123.0, "tick", "end"),
    ]
    description = f"{name}: weights with {len(levels)} levels, and their errors. {fact}"
    return svg.canvas(width, height, description, *parts)


def _area(
    histogram: tuple[NDArray, NDArray], x: Axis, base: float, height: float, kind: str
) -> str:
    counts, edges = rebinned(*histogram)
    top = counts.max(initial=0) or 1
    points = [(x(float(edges[0])), base)]
    for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True):
        y = base - height * float(count / top)
        points += [(x(float(left)), y), (x(float(right)), y)]
    data = svg.outline([*points, (x(float(edges[-1])), base)])
    return svg.tag("path", class_=kind, d=data + "Z")


def _level_marks(levels: NDArray, x: Axis) -> str:
    """The levels as ticks in one path; evenly thinned above `LEVELS_DRAWN`, where they touch."""
    shown = np.unique(levels)
    shown = shown[:: -(-len(shown) // LEVELS_DRAWN)] if len(shown) else shown
    data = "".join(f"M{svg.number(x(float(v)))} 22v52" for v in shown)
    return svg.tag("path", class_="levels", d=data) if data else ""


def rebinned(counts: NDArray, edges: NDArray) -> tuple[NDArray, NDArray]:
    """At most `BINS` bins, neighbours added; the total is kept."""
    factor = -(-len(counts) // BINS)
    padding = -len(counts) % factor
    sums = np.pad(counts, (0, padding)).reshape(-1, factor).sum(1)
    cuts = edges[:-1:factor]
    return sums, np.append(cuts, edges[-1])


def training(
    epochs: Sequence[float],
    top1: Sequence[float],
    share: Sequence[float],
    blend: Sequence[float],
    events: Sequence[str],
    baseline: float,
    description: str,
) -> str:
    """Top-1 after each epoch; below it the quantized share as a staircase; events as hairlines."""
    kept = [(e, t) for e, t in zip(epochs, top1, strict=True) if np.isfinite(t)]
    x = Axis(min(epochs), max(max(epochs), min(epochs) + 1) + 0.5, LEFT, WIDTH - 12)
    levels = [t for _, t in kept] + ([baseline] if np.isfinite(baseline) else [])
    y = Axis(*svg.padded(levels or [0.0], 0.1), 150.0, TOP + 12)
    parts = [svg.text("top-1, %", 0.0, 11.0, "axis")]
    for value in y.ticks(4):
        parts.append(svg.line(x.start, y(value), x.end, y(value), "grid"))
        parts.append(svg.text(f"{value:g}", x.start - 7, y(value) + 4, "tick", "end"))
    parts.append(_events(epochs, events, x))
    if np.isfinite(baseline):
        parts.append(svg.line(x.start, y(baseline), x.end, y(baseline), "reference"))
        parts.append(svg.text("float", x.end, y(baseline) - 4, "tick halo", "end"))
    parts.append(svg.path([(x(e), y(t)) for e, t in kept], "curve main") if kept else "")
    parts += [svg.tag("circle", class_="mark", cx=x(e), cy=y(t), r=2.4) for e, t in kept]
    parts.append(_shares(epochs, share, blend, x))
    for value in x.ticks(6):
        parts.append(svg.text(f"{value:g}", x(value), HEIGHT - BOTTOM + 16, "tick", "middle"))
    parts.append(svg.text("epoch", x.end, HEIGHT - BOTTOM + 32, "axis", "end"))
    return svg.canvas(WIDTH, HEIGHT, description, *parts)


def _events(epochs: Sequence[float], events: Sequence[str], x: Axis) -> str:
    parts, free = [], 0.0
    for epoch, event in zip(epochs, events, strict=True):
        if event:
            parts.append(svg.line(x(epoch), TOP, x(epoch), HEIGHT - BOTTOM, "event"))
            width = svg.text_width(event, 10)
            fits = x(epoch) + 3 + width <= WIDTH
            left = x(epoch) + 3 if fits else x(epoch) - 3 - width
            if left >= free:
                place = (x(epoch) + 3, TOP + 6) if fits else (x(epoch) - 3, TOP + 6)
                parts.append(svg.text(event, *place, "tick halo", "start" if fits else "end"))
                free = left + width + 6
    return "".join(parts)


def _shares(
    epochs: Sequence[float], share: Sequence[float], blend: Sequence[float], x: Axis
) -> str:
    y = Axis(0.0, 1.0, HEIGHT - BOTTOM, 186.0)
    parts = [svg.text("quantized share of the weights, %", 0.0, 174.0, "axis")]
    for value in (0.0, 0.5, 1.0):
        parts.append(svg.line(x.start, y(value), x.end, y(value), "grid" if value else "base"))
        parts.append(svg.text(f"{100 * value:g}", x.start - 7, y(value) + 4, "tick", "end"))
    steps: list[tuple[float, float]] = []
    for epoch, value in zip(epochs, share, strict=True):
        height = y(_finite(value))
        steps += [(x(epoch), steps[-1][1] if steps else y.start), (x(epoch), height)]
    steps.append((x.end, steps[-1][1]))
    data = svg.outline([*steps, (x.end, y.start)]) + "Z"
    parts.append(svg.tag("path", class_="area", d=data))
    parts.append(svg.path(steps, "stair"))
    if any(np.isfinite(b) and 0 < b < 1 for b in blend):
        points = [(x(e), y(b)) for e, b in zip(epochs, blend, strict=True) if np.isfinite(b)]
        parts.append(svg.path(points, "curve blend"))
        parts.append(svg.text("blend", points[-1][0], points[-1][1] + 12, "tick halo", "end"))
    return "".join(parts)
