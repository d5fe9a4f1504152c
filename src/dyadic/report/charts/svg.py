"""The alphabet of the charts: elements, axes with round ticks, markers and labels, as SVG text.

Everything here is a pure function from numbers to text. Colours are class names (`s0` ... `s8` for
the series) that `chart.css` gives a value in light and in dark, so one text serves both.
"""

import math
from dataclasses import dataclass
from html import escape

GLYPH_WIDTH = 0.56
"""Mean width of a character as a share of the font size, for laying out labels."""

SERIES_COLOURS = 9


def number(value: float, digits: int = 1) -> str:
    """The shortest text of a coordinate: `digits` decimals, no trailing zeros, no minus zero.

    >>> number(3.04), number(-0.04), number(12.5)
    ('3', '0', '12.5')
    """
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element; attribute values are escaped, children are taken as they are.

    `class_` gives `class`, `stroke_width` gives `stroke-width`; None leaves an attribute out.

    >>> tag("circle", class_="dot", r=2.0)
    '<circle class="dot" r="2"/>'
    """
    parts = [name]
    for key, value in attributes.items():
        if value is not None:
            shown = number(value) if isinstance(value, float) else escape(str(value))
            parts.append(f'{key.rstrip("_").replace("_", "-")}="{shown}"')
    head = " ".join(parts)
    return f"<{head}>{''.join(children)}</{name}>" if children else f"<{head}/>"


def text(content: str, x: float, y: float, class_: str = "label", anchor: str = "start") -> str:
    """A line of text with its baseline at y; anchor start, middle or end."""
    anchored = None if anchor == "start" else anchor
    return tag("text", escape(content), class_=class_, x=x, y=y, text_anchor=anchored)


def hint(content: str) -> str:
    """What a pointer that rests on a mark shows, and a screen reader says."""
    return tag("title", escape(content))


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """A straight line."""
    return tag("line", class_=class_, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))


def path(points: list[tuple[float, float]], class_: str) -> str:
    """An open line through the points (pixels)."""
    return tag("path", class_=class_, d=outline(points))


def outline(points: list[tuple[float, float]]) -> str:
    """The path data of a line through the points."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points)


def canvas(width: float, height: float, description: str, *body: str) -> str:
    """The drawing itself; `description` is what a screen reader says in its place."""
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", *body, class_="chart", viewBox=box, role="img", aria_label=description)


def text_width(content: str, size: float = 11.0) -> float:
    """About how wide a text is, in pixels."""
    return GLYPH_WIDTH * size * len(content)


@dataclass(frozen=True)
class Axis:
    """A map from data `low` ... `high` to pixels `start` ... `end`, linear or logarithmic.

    >>> Axis(0, 10, 100, 200)(5)
    150.0
    >>> Axis(1, 100, 0, 10, log=True)(10)
    5.0
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixels of a value; not clipped."""
        low, high, value = (
            self._position(self.low),
            self._position(self.high),
            self._position(value),
        )
        share = (value - low) / (high - low) if high != low else 0.5
        return self.start + share * (self.end - self.start)

    def _position(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside the range, about `count` of them."""
        return log_ticks(self.low, self.high) if self.log else ticks(self.low, self.high, count)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Multiples of 1, 2, 2.5 or 5 times a power of ten in [low, high].

    >>> ticks(0, 1, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten in [low, high]; with 2 and 5 between them where those are few.

    >>> log_ticks(0.1, 10)
    [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    mantissas = (1, 2, 5) if len(powers) <= 4 else (1,)
    values = [float(f"{m}e{p}") for p in powers for m in mantissas]
    values = [v for v in values if low * 0.999 <= v <= high * 1.001]
    return values[:: math.ceil(len(values) / 7)] if values else [low]


def padded(values: list[float], share: float = 0.06) -> tuple[float, float]:
    """The range of the values with a margin, never empty."""
    low, high = min(values), max(values)
    margin = (high - low) * share or 1.0
    return low - margin, high + margin


def marker(
    x: float, y: float, slot: int, inner: str = "", class_: str = "dot", r: float = 4
) -> str:
    """A mark of series `slot`: shape and colour differ, so colour is never the only sign."""
    name = f"{class_} s{slot % SERIES_COLOURS}"
    shape = slot % 5
    if shape == 0:
        return tag("circle", inner, class_=name, cx=float(x), cy=float(y), r=float(r))
    corners = _SHAPES[shape - 1]
    points = " ".join(f"{number(x + r * dx)},{number(y + r * dy)}" for dx, dy in corners)
    return tag("polygon", inner, class_=name, points=points)


_SHAPES = (
    ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    ((0, -1.25), (1.2, 0.9), (-1.2, 0.9)),
    ((0, 1.25), (1.2, -0.9), (-1.2, -0.9)),
)


def spread(positions: list[float], gap: float, low: float, high: float) -> list[float]:
    """The positions moved apart to at least `gap`, in order, within [low, high] where they fit.

    >>> spread([10.0, 11.0, 40.0], 8.0, 0.0, 50.0)
    [10.0, 18.0, 40.0]
    """
    order = sorted(range(len(positions)), key=positions.__getitem__)
    placed: list[float] = [min(max(positions[i], low), high) for i in order]
    for k in range(1, len(placed)):
        placed[k] = max(placed[k], placed[k - 1] + gap)
    for k in reversed(range(len(placed))):
        limit = high if k == len(placed) - 1 else placed[k + 1] - gap
        placed[k] = min(placed[k], limit)
    result = [0.0] * len(positions)
    for k, i in enumerate(order):
        result[i] = placed[k]
    return result
