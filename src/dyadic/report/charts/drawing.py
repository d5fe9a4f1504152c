"""Charts as declarations: Vega-Lite in `declared/*.yaml`, one theme, drawn by the page or as SVG.

A chart is a declaration and the tables that it names. The page holds each declaration once and the
Vega runtime beside it; `svg` renders without a browser or a network.
"""

import importlib
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from dyadic.errors import UserError

DECLARED = Path(__file__).parent / "declared"
THEME = yaml.safe_load((DECLARED / "theme.yaml").read_text(encoding="utf-8"))
COLOURS: dict[str, tuple[str, str]] = THEME["colours"]
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
RUNS = [LIGHT[name] for name in ("accent", "second", "s0", "s3", "s2", "s5")]
"""The colours of runs that are laid over one another, in their order."""

Table = pd.DataFrame | Mapping[str, list[Any]]
"""Columns by name."""


def filled(node: Any, values: Mapping[str, Any]) -> Any:
    """A declaration with a value for every `$NAME`; raises KeyError for one that has none."""
    if isinstance(node, dict):
        return {key: filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, values) for value in node]
    return values[node[1:]] if isinstance(node, str) and node.startswith("$") else node


ROOM = {"left": 44, "top": 10, "right": 24, "bottom": 10}
"""Around a chart in a file: a reader's font may be wider than the one that it was measured with."""

CONFIG = filled(THEME["config"], LIGHT)


def declaration(name: str, /, **values: Any) -> str:
    """`declared/NAME.yaml` as JSON, with the theme's colours and these values."""
    text = json.dumps(values, sort_keys=True)
    return _declaration(name, text)


@cache
def _declaration(name: str, values: str) -> str:
    declared = filled(_read(name), LIGHT | {"runs": RUNS} | json.loads(values))
    return json.dumps(declared, separators=(",", ":"))


@cache
def _read(name: str) -> Any:
    return yaml.safe_load((DECLARED / f"{name}.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Drawing:
    """A chart: the finding as its title, a declaration, its tables, a line on how to read it."""

    title: str
    declared: str
    data: Mapping[str, Table]
    note: str = ""

    def columns(self) -> dict[str, dict[str, list[Any]]]:
        """The tables by column, numbers to five digits, what is missing as None."""
        return {
            name: {str(column): [_plain(value) for value in table[column]] for column in table}
            for name, table in self.data.items()
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """How a notebook shows it."""
        return {"image/svg+xml": svg(self), "text/plain": self.title}


def svg(drawing: Drawing) -> str:
    """The chart as a file of its own: its title on top, light and dark, no script."""
    tables = {
        name: [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        for name, columns in drawing.columns().items()
    }
    title = {"text": textwrap.wrap(drawing.title, 44), "frame": "group"}
    config = CONFIG | {"padding": ROOM}
    said = {"title": title, "description": drawing.title, "datasets": tables, "config": config}
    drawn = cast(str, _vega().vegalite_to_svg(json.loads(drawing.declared) | said))
    style = f"<style>@media (prefers-color-scheme: dark) {{{dark_rules()}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda opened: opened[1] + style, drawn, count=1) + "\n"


def _vega() -> Any:
    """The renderer; UserError where it is not installed, for it is of the extra `report`."""
    try:
        return importlib.import_module("vl_convert")
    except ImportError as error:
        raise UserError("charts need vl-convert; pip install 'dyadic[report]'") from error


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
    return _vega().javascript_bundle()


def packed(values: list[Any]) -> Any:
    """A column for the page: repeated values as what they are and how often each comes.

    >>> packed([1, 2]), packed(["a", "a"])
    ([1, 2], {'v': ['a'], 'n': [2]})
    """
    runs = [(value, len(list(group))) for value, group in groupby(values)]
    if len(runs) > len(values) / 2:
        return values
    return {"v": [value for value, _ in runs], "n": [count for _, count in runs]}


def _plain(value: Any) -> Any:
    if isinstance(value, str | bool):
        return value
    if value is None or value != value:
        return None
    rounded = float(f"{float(value):.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
