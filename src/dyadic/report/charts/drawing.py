"""Charts as declarations: Vega-Lite in `declared/*.yaml`, one theme, drawn by the page or as SVG.

A chart is a declaration and the tables that it names. The page has the Vega runtime; `svg` renders
without a browser or a network.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import vl_convert
import yaml

RUNS = ["accent", "second", "s0", "s3", "s2", "s5"]
"""The colours of runs that are laid over one another, in their order."""

ROOM = {"left": 44, "top": 10, "right": 24, "bottom": 10}
"""Around a chart in a file: a reader's font may be wider than the one that it was measured with."""


@cache
def _read(name: str) -> Any:
    path = Path(__file__).parent / "declared" / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def filled(node: Any, values: Mapping[str, Any]) -> Any:
    """A declaration with a value for every `$NAME`; raises KeyError for one that has none."""
    if isinstance(node, dict):
        return {key: filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, values) for value in node]
    return values[node[1:]] if isinstance(node, str) and node.startswith("$") else node


COLOURS: dict[str, tuple[str, str]] = _read("theme")["colours"]
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
CONFIG = filled(_read("theme")["config"], LIGHT)


def declaration(name: str, /, **values: Any) -> dict[str, Any]:
    """`declared/NAME.yaml` with the theme's colours and these values."""
    return filled(_read(name), LIGHT | {"runs": [LIGHT[run] for run in RUNS]} | values)


@dataclass(frozen=True)
class Drawing:
    """A chart: the finding as its title, a declaration, its tables, a line on how to read it."""

    title: str
    declared: dict[str, Any]
    data: Mapping[str, pd.DataFrame]
    note: str = ""

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """How a notebook shows it."""
        return {"image/svg+xml": svg(self), "text/plain": self.title}


def svg(drawing: Drawing) -> str:
    """The chart as a file of its own: its title on top, light and dark, no script."""
    tables = {
        k: json.loads(str(table.to_json(orient="records"))) for k, table in drawing.data.items()
    }
    title = {"text": textwrap.wrap(drawing.title, 44), "frame": "group"}
    config = CONFIG | {"padding": ROOM}
    said = {"title": title, "description": drawing.title, "datasets": tables, "config": config}
    drawn = vl_convert.vegalite_to_svg(drawing.declared | said)
    drawn = re.sub(r"(\.\d{3})\d{9,}", r"\1", drawn)  # places to a thousandth of a pixel
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
