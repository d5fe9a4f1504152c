"""Charts as declarations: Vega-Lite in `declared/*.yaml`, one theme, drawn by the page or as SVG.

A chart is a declaration and the tables that it names. The page has the Vega runtime; `svg` renders
without a browser or a network.
"""

import importlib
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from dyadic.errors import UserError

DECLARED = Path(__file__).parent / "declared"
THEME = yaml.safe_load((DECLARED / "theme.yaml").read_text(encoding="utf-8"))
COLOURS: dict[str, tuple[str, str]] = THEME["colours"]
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
RUNS = {name: LIGHT[name] for name in ("accent", "second", "s0", "s3", "s2", "s5")}
"""The colours of runs that are laid over one another, in their order."""

ROOM = {"left": 44, "top": 10, "right": 24, "bottom": 10}
"""Around a chart in a file: a reader's font may be wider than the one that it was measured with."""


def filled(node: Any, values: Mapping[str, Any]) -> Any:
    """A declaration with a value for every `$NAME`; raises KeyError for one that has none."""
    if isinstance(node, dict):
        return {key: filled(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value, values) for value in node]
    return values[node[1:]] if isinstance(node, str) and node.startswith("$") else node


CONFIG = filled(THEME["config"], LIGHT)


def declaration(name: str, /, **values: Any) -> dict[str, Any]:
    """`declared/NAME.yaml` with the theme's colours and these values."""
    return filled(_read(name), LIGHT | {"runs": [*RUNS.values()]} | values)


@cache
def _read(name: str) -> Any:
    return yaml.safe_load((DECLARED / f"{name}.yaml").read_text(encoding="utf-8"))


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
    drawn = str(_vega().vegalite_to_svg(drawing.declared | said))
    drawn = re.sub(r"(\.\d{3})\d{9,}", r"\1", drawn)  # places to a thousandth of a pixel
    style = f"<style>@media (prefers-color-scheme: dark) {{{dark_rules()}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda opened: opened[1] + style, drawn, count=1) + "\n"


def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; sets `vegaEmbed`."""
    return _vega().javascript_bundle()


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
