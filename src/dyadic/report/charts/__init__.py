"""Charts as declarations: Vega-Lite in `declared/*.yaml`, one theme, drawn by the page or as SVG.

A chart is a declaration and the tables that it names. The page has the Vega runtime; `svg` renders
without a browser or a network. Charts of runs take tables with a column `run`, so the page draws
one run and an overlay alike.
"""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
import vl_convert
import yaml
from numpy.typing import NDArray

from dyadic.record.read import LOADER

BINS, LEVELS_DRAWN = 32, 65
LOG, LINEAR = {"type": "log"}, {"zero": False}
PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges", "levels")
POINT = {"says": "", "weight": 1.0, "sd": 0.0, "joined": False}
"""What a point has unless it says otherwise."""

PANELS = {
    "weight_bits": "weight bits",
    "activation_bits": "activation bits",
    "sensitivity": "sensitivity, log",
    "sqnr_db": "SQNR of the weights, dB",
    "float_difference_steps": "difference, steps",
    "accumulator_bits": "accumulator, bits",
}
"""The columns of `layers.csv` that a layer chart shows, and their panels' titles."""

DECLARED = Path(__file__).parent / "declared"
RUNS = ["accent", "second", "s0", "s3", "s2", "s5"]
"""The colours of runs that are laid over one another, in their order."""

ROOM = {"left": 44, "top": 10, "right": 24, "bottom": 10}
"""Around a chart in a file: a reader's font may be wider than the one that it was measured with."""

THEME = yaml.safe_load((DECLARED / "theme.yaml").read_text(encoding="utf-8"))
COLOURS: dict[str, tuple[str, str]] = THEME["colours"]
LIGHT = {name: light for name, (light, _) in COLOURS.items()}


def declaration(name: str, /, **values: Any) -> dict[str, Any]:
    """`declared/NAME.yaml` with the theme's colours and these values.

    Raises KeyError where a `$NAME` has none.
    """
    known = LIGHT | {"runs": [LIGHT[run] for run in RUNS]} | values
    said = {key: json.dumps(value, ensure_ascii=False) for key, value in known.items()}
    text = (DECLARED / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(Template(text).substitute(said), LOADER)


CONFIG = declaration("theme")["config"]


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
    tables = {k: json.loads(str(v.to_json(orient="records"))) for k, v in drawing.data.items()}
    title = {"text": textwrap.wrap(drawing.title, 44), "frame": "group"}
    config = CONFIG | {"padding": ROOM}
    said = {"title": title, "description": drawing.title, "datasets": tables, "config": config}
    drawn = vl_convert.vegalite_to_svg(drawing.declared | said)
    drawn = re.sub(r"(\.\d{3})\d{9,}", r"\1", drawn)  # places to a thousandth of a pixel
    style = f"<style>@media (prefers-color-scheme: dark) {{{dark_rules()}}}</style>"
    return re.sub(r"(<svg [^>]*>)", lambda opened: opened[1] + style, drawn, count=1) + "\n"


def dark_rules() -> str:
    """CSS that turns the theme's light colours into the dark ones, wherever Vega wrote them."""
    pairs = [(kind, *pair) for pair in COLOURS.values() for kind in ("fill", "stroke")]
    return "".join(f'svg.marks [{k}="{light}"]{{{k}:{dark}}}' for k, light, dark in pairs)


def scores(
    title: str,
    points: pd.DataFrame,
    labels: tuple[str, str],
    domain: Sequence[str] = (),
    note: str = "",
    log: bool = False,
    reference: float = float("nan"),
) -> Drawing:
    """Points of two numbers, with whiskers and lines.

    points     series, x, y; says (on hovering), weight (opacity), sd (a whisker) and joined (True:
               a line through the series) may be left out
    labels     of the axes; domain: all series that have a colour in charts beside this one
    log        of y; reference: the float network's top-1
    """
    shown = list(dict.fromkeys(points.series))
    table = points.assign(**{k: v for k, v in POINT.items() if k not in points})
    spread = table.pop("sd").fillna(0.0)
    table = table.assign(least=table.y - spread, most=table.y + spread)
    wide = table.x.max() > 10 * table.x.min() > 0
    whole = {"tickMinStep": 1, "format": "d"} if "bits" in labels[0].split() else {}
    axes = {"x": labels[0], "y": labels[1], "ticks": {"tickCount": 3} if wide else whole}
    axes |= {"across": {"nice": False, "padding": 16} | (LOG if wide else LINEAR)}
    axes |= {"down": {"padding": 14} | (LOG if log else LINEAR), "steps": 3 if log else 6}
    declared = declaration("scores", domain=list(domain) or shown, shown=shown, **axes)
    lines = pd.DataFrame({"y": [reference], "label": [f"float {reference:.2f}"]}).dropna()
    return Drawing(title, declared, {"points": table, "reference": lines}, note)


def training(title: str, history: pd.DataFrame, baseline: float, note: str) -> Drawing:
    """Top-1, losses and quantized share after each epoch; the schedule's events as hairlines.

    history  of `dyadic.record.read.histories`; baseline: the float network's top-1
    """
    epochs = {"epochs": history.assign(float_top1=baseline)}
    return Drawing(title, declaration("training"), epochs, note)


def layers(
    title: str, table: pd.DataFrame, note: str = "", shown: Mapping[str, str] = PANELS
) -> Drawing:
    """A row a layer from the input down, a panel for each column of `shown` that the table has.

    shown  columns and the titles of their panels; a title that ends so has a `, log` axis
    """
    own = {"legend": {} if table.run.nunique() > 1 else None}
    log = own | {"mark": {"type": "point", "size": 40}, "scale": "log", "format": "~e"}
    linear = own | {"mark": "bar", "scale": "linear", "format": "~f"}
    panels = [
        declaration("layer", name=name, field=column, **(log if name.endswith(", log") else linear))
        for column, name in shown.items()
        if column in table
    ]
    declared = {"spacing": 10, "columns": 4, "usermeta": {"room": 110}, "concat": panels}
    return Drawing(title, declared, {"layers": table}, note)


def short_names(names: Sequence[str]) -> list[str]:
    """Layer names without the modules that all of them lie in.

    >>> short_names(["body.conv1", "body.layer1.0.conv1"])
    ['conv1', 'layer1.0.conv1']
    """
    parts = [str(name).split(".") for name in names]
    levels = zip(*[part[:-1] for part in parts], strict=False)
    common = [*(len(set(level)) == 1 for level in levels), False].index(False)
    return [".".join(part[common:]) for part in parts]


def histograms(
    title: str, run: str, layers: Mapping[str, Sequence[NDArray[Any]]], note: str = ""
) -> Drawing:
    """Each layer's weights up, errors down, each as a share of its largest bin, and the levels.

    layers  by their labels; the arrays are those of `PARTS`. Levels are evenly thinned above
            `LEVELS_DRAWN`, where they touch.
    """
    rows = []
    for row, (layer, arrays) in enumerate(layers.items()):
        found = np.unique(arrays[4])
        thin = [(x, 0.0) for x in found[:: max(1, -(-len(found) // LEVELS_DRAWN))]]
        for kind, colour, points in (
            ("weights", "accent", _bins(arrays[0], arrays[1], 1.0)),
            ("errors", "second", _bins(arrays[2], arrays[3], -0.7)),
            ("levels", "ink", thin),
        ):
            rows += [(run, layer, row, kind, LIGHT[colour], *point) for point in points]
    bins = pd.DataFrame(rows, columns=["run", "layer", "row", "kind", "colour", "x", "share"])
    return Drawing(title, declaration("histograms"), {"bins": bins.round(6)}, note)


def _bins(counts: NDArray[Any], edges: NDArray[Any], height: float) -> list[tuple[Any, Any]]:
    """At most `BINS` bins, neighbours added, closed at both ends: left edges and heights."""
    factor = -(-len(counts) // BINS)
    sums = np.pad(counts, (0, -len(counts) % factor)).reshape(-1, factor).sum(1)
    share = height * sums / (sums.max(initial=0) or 1)
    return list(zip([*edges[:-1:factor], edges[-1]], [*share, 0.0], strict=True))
