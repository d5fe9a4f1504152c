"""Charts as declarations: Vega-Lite by Altair, one theme, drawn by the page or as an SVG file.

A chart is a specification, declared once, and the tables that it draws. The page holds each
specification once and the Vega runtime beside it; `svg` renders without a browser or a network.
"""

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Any, cast

import altair as alt
import pandas as pd
import vl_convert

# Hues after Tol's "muted" scheme, which stays apart for the colour-blind; shapes differ too.
COLOURS = {  # name: (light, dark)
    "paper": ("#fdfcf9", "#17181b"),
    "wash": ("#f4f1ea", "#212327"),
    "ink": ("#1f1e1b", "#ebe8e1"),
    "soft": ("#67635b", "#a5a198"),
    "rule": ("#cfc9bd", "#474a50"),
    "grid": ("#ebe7de", "#2b2d32"),
    "accent": ("#1b6b72", "#5fb8bf"),
    "second": ("#b4552d", "#e0895f"),
    "good": ("#2c6e3f", "#7cc48f"),
    "bad": ("#a3262f", "#f08d8d"),
    "s0": ("#882255", "#e07ab0"),
    "s1": ("#117733", "#5cc97b"),
    "s2": ("#ad8a00", "#dfc04a"),
    "s3": ("#3a2f9b", "#9c92f0"),
    "s4": ("#c2566b", "#ef8c9c"),
    "s5": ("#2f8fbf", "#72c3ee"),
    "s6": ("#7b8a20", "#b9c758"),
    "s7": ("#a04aa0", "#d793d7"),
    "s8": ("#2b978a", "#5fcdbf"),
}
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
SERIES = [LIGHT[f"s{k}"] for k in range(9)]
SHAPES = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross"]
WIDTH, HEIGHT = 420, 230
FONT = "Helvetica Neue, Segoe UI, Roboto, Arial, Liberation Sans, sans-serif"

_TEXT = {"labelColor": LIGHT["soft"], "titleColor": LIGHT["soft"], "titleFontWeight": "normal"}
CONFIG = {
    "background": LIGHT["paper"],
    "font": FONT,
    "padding": {"left": 14, "top": 4, "right": 8, "bottom": 4},
    "view": {"stroke": None},
    "title": {"anchor": "start", "fontSize": 14, "color": LIGHT["ink"], "offset": 12},
    "axis": _TEXT
    | {"grid": False, "domainColor": LIGHT["rule"], "tickColor": LIGHT["rule"], "labelLimit": 130},
    "axisY": {"grid": True, "gridColor": LIGHT["grid"], "domain": False, "ticks": False},
    "legend": _TEXT
    | {"orient": "bottom", "title": None, "columns": 4, "labelLimit": 220}
    | {"symbolOpacity": 1, "symbolStrokeWidth": 0},
    "header": {"labelColor": LIGHT["ink"], "labelFontWeight": "bold", "title": None}
    | {"labelAnchor": "start", "labelLimit": 190},
    "line": {"strokeWidth": 1.8},
    "point": {"filled": True, "size": 48},
    "text": {"color": LIGHT["soft"], "fontSize": 10},
    "range": {"category": SERIES, "symbol": SHAPES},
}


Table = pd.DataFrame | Mapping[str, list[Any]]
"""Columns by name."""


@dataclass(frozen=True)
class Drawing:
    """A chart with the finding as its title and a line on how to read it.

    declared  the specification as JSON, of a function marked `declaration`
    data      the tables that it names
    """

    title: str
    declared: str
    data: Mapping[str, Table]
    note: str = ""

    def columns(self) -> dict[str, dict[str, list[Any]]]:
        """The tables by column, numbers to five digits, what is missing as None."""
        return {name: _columns(frame) for name, frame in self.data.items()}

    def spec(self) -> dict[str, Any]:
        """The whole Vega-Lite specification."""
        tables = {
            name: [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            for name, columns in self.columns().items()
        }
        return json.loads(self.declared) | {"datasets": tables, "config": CONFIG}

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """How a notebook shows it."""
        return {"image/svg+xml": svg(self), "text/plain": self.title}


def declaration(function: Callable[..., Any]) -> Callable[..., str]:
    """The specification that a function declares, as JSON, made once for the same arguments."""

    @cache
    def declared(*arguments: Any) -> str:
        return json.dumps(function(*arguments).to_dict(), separators=(",", ":"))

    return declared


def svg(drawing: Drawing) -> str:
    """The chart as a file of its own: its title on top, light and dark, no script."""
    lines = textwrap.wrap(drawing.title, 56)
    spec = drawing.spec() | {"title": {"text": lines, "frame": "group"}}
    spec["description"] = drawing.title
    drawn = cast(str, vl_convert.vegalite_to_svg(spec))
    style = f"<style>@media (prefers-color-scheme: dark) {{{dark_rules()}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda opened: opened[1] + style, drawn, count=1) + "\n"


@cache
def dark_rules() -> str:
    """CSS that turns the theme's light colours into the dark ones, wherever Vega wrote them."""
    return "".join(
        f'svg.marks [{kind}="{light}"]{{{kind}:{dark}}}'
        for light, dark in COLOURS.values()
        for kind in ("fill", "stroke")
    )


@cache
def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; sets `vegaEmbed`."""
    return cast(str, vl_convert.javascript_bundle())


def named(*names: str) -> list[Any]:
    """The tables that a declaration draws, by name."""
    return [alt.NamedData(name) for name in names]


def by_name(slots: tuple[tuple[str, int], ...]) -> dict[str, Any]:
    """Colour and shape by the field `series`; a slot has the same ones wherever it is drawn."""
    names = [name for name, _ in slots]
    colours = [SERIES[slot % len(SERIES)] for _, slot in slots]
    shapes = [SHAPES[slot % len(SHAPES)] for _, slot in slots]
    return {
        "color": alt.Color("series:N", scale=alt.Scale(domain=names, range=colours)),
        "shape": alt.Shape("series:N", scale=alt.Scale(domain=names, range=shapes)),
    }


def zoom() -> Any:
    """Drag and wheel with shift held, so that a page scrolls as ever; double click goes back."""
    return alt.selection_interval(
        name="zoom",
        bind="scales",
        zoom="wheel![event.shiftKey]",
        translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
    )


def chosen() -> Any:
    """A click in the legend selects what it names."""
    return alt.selection_point(name="chosen", fields=["series"], bind="legend")


def shown(selection: Any, full: float = 1.0) -> Any:
    """Full strength for what is selected, faint for the rest."""
    return alt.condition(selection, alt.value(full), alt.value(0.12))


def packed(columns: dict[str, list[Any]]) -> dict[str, Any]:
    """Columns for the page: texts and repeated values as [values, how often each comes].

    >>> packed({"x": [1, 2], "run": ["a", "a"]})
    {'x': [1, 2], 'run': {'v': ['a'], 'n': [2]}}
    """
    return {name: _packed(values) for name, values in columns.items()}


def _packed(values: list[Any]) -> Any:
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    if len(runs) > len(values) / 2:
        return values
    return {"v": [value for value, _ in runs], "n": [count for _, count in runs]}


def _columns(frame: Table) -> dict[str, list[Any]]:
    return {str(name): [_plain(value) for value in frame[name]] for name in frame}


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    if value is None or value != value:
        return None
    rounded = float(f"{float(value):.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
