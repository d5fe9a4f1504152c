"""Charts of many runs: top-1 against bits and costs, published drops, fronts, claims."""

from typing import Any

import altair as alt
import pandas as pd

from dyadic.report.charts.drawing import (
    HEIGHT,
    LIGHT,
    WIDTH,
    Drawing,
    by_name,
    chosen,
    declaration,
    named,
    shown,
    zoom,
)

TOP1 = "top-1, %"
Slots = tuple[tuple[str, int], ...]
"""The names of all series and the slot, colour and shape, of each."""


def _y(field: str, title: str, low: float | None, scale: str = "linear") -> Any:
    limits = {} if low is None else {"domainMin": low}
    axis = alt.Axis(titleAnchor="start", titleAngle=0, titleAlign="left", titleY=-8, titleX=0)
    return alt.Y(
        f"{field}:Q",
        title=title,
        axis=axis,
        scale=alt.Scale(zero=False, nice=True, type=scale, **limits),
    )


def _tooltip(*fields: str) -> list[Any]:
    return [alt.Tooltip(f"{field}:N", title=field.replace("_", " ")) for field in fields]


@declaration
def _against_bits(slots: Slots, low: float | None) -> Any:
    means, reference = named("means", "reference")
    pick, looks = chosen(), by_name(slots)
    x = alt.X(
        "bits:Q",
        title="bits as the paper counts them",
        axis=alt.Axis(tickMinStep=1, format="d"),
        scale=alt.Scale(zero=False, padding=14),
    )
    base = alt.Chart(means).encode(x=x, opacity=shown(pick))
    y = _y("top1", TOP1, low)
    line = base.mark_line(clip=True).encode(y=y, color=looks["color"])
    marks = base.mark_point(clip=True).encode(y=y, tooltip=_tooltip("series", "says"), **looks)
    bars = base.mark_rule(clip=True).encode(
        y=_y("least", TOP1, low), y2="most:Q", color=looks["color"]
    )
    rule = alt.Chart(reference).encode(y="top1:Q")
    dashes = rule.mark_rule(strokeDash=[2, 3], color=LIGHT["soft"])
    label = rule.mark_text(align="left", baseline="bottom", x=2, dy=-2).encode(text="says:N")
    layers = [dashes, label, bars, line, marks.add_params(pick, zoom())]
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)


def against_bits(
    title: str,
    means: pd.DataFrame,
    baseline: float,
    low: float | None,
    note: str,
    slots: Slots,
) -> Drawing:
    """Mean top-1 over the bits, a line a method, whiskers of one standard deviation.

    means  series, bits, top1, top1_sd, says
    """
    deviation = means.top1_sd.fillna(0.0)
    bars = means.assign(least=means.top1 - deviation, most=means.top1 + deviation)
    columns = ["series", "bits", "top1", "least", "most", "says"]
    known = [{"top1": baseline, "says": f"float {baseline:.2f}"}] if baseline == baseline else []
    reference = pd.DataFrame(known, columns=["top1", "says"])
    data = {"means": bars[columns], "reference": reference}
    return Drawing(title, _against_bits(slots, low), data, note)


@declaration
def _scatter(slots: Slots, x: str, y: str, low: float | None, log: bool, joined: bool) -> Any:
    points, corners = named("points", "corners")
    pick, looks = chosen(), by_name(slots)
    across = alt.X("x:Q", title=x, scale=alt.Scale(zero=False, nice=True, padding=12))
    base = alt.Chart(points).encode(x=across, y=_y("y", y, low, "log" if log else "linear"))
    strength = alt.Opacity("weight:Q", legend=None, scale=None)
    marks = base.encode(
        opacity=alt.condition(pick, strength, alt.value(0.08)),
        tooltip=_tooltip("series", "says"),
        **looks,
    )
    full = marks.transform_filter("datum.solid").mark_point(clip=True)
    ring = marks.transform_filter("!datum.solid").mark_point(
        clip=True, filled=False, strokeWidth=1.4
    )
    bars = base.mark_rule(clip=True).encode(y="least:Q", y2="most:Q", color=looks["color"])
    front = alt.Chart(corners).encode(x="x:Q", y="y:Q")
    step = front.mark_line(
        interpolate="step-after", strokeDash=[4, 3], strokeWidth=1, color=LIGHT["ink"], clip=True
    )
    label = front.mark_text(align="right", baseline="bottom", dx=-5, dy=-3).encode(text="label:N")
    curve = base.mark_line(clip=True).encode(color=looks["color"]).transform_filter("datum.joined")
    layers = [full.add_params(pick, zoom()), ring, bars, step, label]
    return alt.layer(*([curve] if joined else []), *layers).properties(width=WIDTH, height=HEIGHT)


def scatter(
    title: str,
    points: pd.DataFrame,
    labels: tuple[str, str],
    slots: Slots,
    note: str = "",
    corners: pd.DataFrame | None = None,
    low: float | None = None,
    log: bool = False,
) -> Drawing:
    """Points of two numbers, and a line of steps through `corners`.

    points   series, x, y, says; solid (True: not hollow), weight (opacity), sd (a whisker) and
             joined (True: a line through the series) may be left out
    corners  x, y, label
    labels   of the axes
    """
    table = points.assign(**{k: v for k, v in _PLAIN.items() if k not in points})
    spread = table.sd.fillna(0.0)
    table = table.assign(least=table.y - spread, most=table.y + spread)
    if corners is None:
        corners = pd.DataFrame(columns=["x", "y", "label"])
    data = {"points": table.drop(columns="sd"), "corners": corners}
    joined = bool(table.joined.any())
    return Drawing(title, _scatter(slots, *labels, low, log, joined), data, note)


_PLAIN = {"solid": True, "weight": 1.0, "sd": 0.0, "joined": False}


@declaration
def _claims() -> Any:
    dots, means = named("dots", "means")
    rows = alt.Y(
        "claim:N",
        title=None,
        sort=None,
        axis=alt.Axis(grid=False, labelLimit=320, labelColor=LIGHT["ink"]),
    )
    across = alt.X(
        "difference:Q", title="difference in top-1, points", scale=alt.Scale(zero=False, padding=10)
    )
    colours = alt.Color(
        "verdict:N",
        scale=alt.Scale(
            domain=["held", "did not hold", "undecided", "too few seeds"],
            range=[LIGHT["good"], LIGHT["bad"], LIGHT["s2"], LIGHT["soft"]],
        ),
    )
    shapes = alt.Shape(
        "verdict:N",
        scale=alt.Scale(
            domain=["held", "did not hold", "undecided", "too few seeds"],
            range=["circle", "cross", "diamond", "square"],
        ),
    )
    band = (
        alt.Chart(means)
        .mark_rule(strokeWidth=5, opacity=0.35)
        .encode(x=alt.X("low:Q"), x2="high:Q", y=rows, color=colours)
    )
    seeds = (
        alt.Chart(dots)
        .mark_point(size=36, strokeWidth=1, opacity=0.75)
        .encode(
            x=across,
            y=rows,
            color=colours,
            shape=shapes,
            tooltip=_tooltip("claim", "seed", "difference"),
        )
    )
    mean = (
        alt.Chart(means)
        .mark_tick(thickness=2, size=16)
        .encode(
            x="difference:Q", y=rows, color=colours, tooltip=_tooltip("claim", "says", "interval")
        )
    )
    margin = (
        alt.Chart(means)
        .mark_tick(thickness=1.5, size=24, color=LIGHT["ink"])
        .encode(x="margin:Q", y=rows, tooltip=_tooltip("claim", "margin"))
    )
    published = (
        alt.Chart(means)
        .mark_text(text="P", fontSize=10, fontWeight="bold")
        .encode(x="published:Q", y=rows, tooltip=_tooltip("claim", "published"))
    )
    layers = [band, margin, published, mean, seeds]
    return alt.layer(*layers).properties(width=WIDTH, height=alt.Step(34))


def claims(title: str, dots: pd.DataFrame, means: pd.DataFrame, note: str = "") -> Drawing:
    """Every seed as a dot, the interval as a band, the margin as a tick across it.

    dots   claim, seed, difference, verdict
    means  claim, difference, low, high, margin, published (nan outside the picture), verdict, says,
           interval
    """
    return Drawing(title, _claims(), {"dots": dots, "means": means}, note)
