"""The charts of the page, the claims, the README and the notebooks: tables for declarations.

Charts of runs take tables with a column `run`, so the page draws one run and an overlay alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.report.charts.drawing import LIGHT, Drawing, declaration

BINS, LEVELS_DRAWN = 32, 65
LOG, LINEAR = {"type": "log"}, {"zero": False}
PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges", "levels")
POINT = {"says": "", "weight": 1.0, "sd": 0.0, "joined": False}
EPOCH = ["run", "epoch", "phase", "top1", "train_loss", "val_loss", "quantized_share"]
"""The columns of histories that an overlay draws."""

PANELS = {
    "weight_bits": "weight bits",
    "activation_bits": "activation bits",
    "sensitivity": "sensitivity, log",
    "sqnr_db": "SQNR of the weights, dB",
    "float_difference_steps": "difference, steps",
    "accumulator_bits": "accumulator, bits",
}
"""The columns of `layers.csv` that a layer chart shows, and their panels' titles."""


def scores(
    title: str,
    points: pd.DataFrame,
    labels: tuple[str, str],
    domain: Sequence[str] = (),
    note: str = "",
    corners: pd.DataFrame | None = None,
    low: float | None = None,
    log: bool = False,
    reference: float = float("nan"),
) -> Drawing:
    """Points of two numbers, whiskers, lines, and a line of steps through `corners`.

    points     series, x, y; says (on hovering), weight (opacity), sd (a whisker) and joined (True:
               a line through the series) may be left out
    labels     of the axes; domain: all series that have a colour in charts beside this one
    corners    x, y, label; low: where whiskers end; log: of y; reference: the float network's top-1
    """
    shown = list(dict.fromkeys(points.series))
    table = points.assign(**{k: v for k, v in POINT.items() if k not in points})
    spread = table.pop("sd").fillna(0.0)
    table = table.assign(least=(table.y - spread).clip(lower=low), most=table.y + spread)
    wide = table.x.max() > 10 * table.x.min() > 0
    whole = {"tickMinStep": 1, "format": "d"} if "bits" in labels[0].split() else {}
    declared = declaration(
        "scores",
        domain=list(domain) or shown,
        shown=shown,
        x=labels[0],
        y=labels[1],
        ticks={"tickCount": 3} if wide else whole,
        steps=3 if log else 6,
        across={"nice": False, "padding": 16} | (LOG if wide else LINEAR),
        down={"padding": 14} | (LOG if log else LINEAR),
    )
    lines = pd.DataFrame({"y": [reference], "label": [f"float {reference:.2f}"]}).dropna()
    corners = pd.DataFrame(columns=["x", "y", "label"]) if corners is None else corners
    return Drawing(title, declared, {"points": table, "corners": corners, "reference": lines}, note)


def training(title: str, history: pd.DataFrame, baseline: float, note: str) -> Drawing:
    """Top-1, losses and quantized share after each epoch; the schedule's events as hairlines.

    history  of `dyadic.record.read.histories`; baseline: the float network's top-1
    """
    mixed = history.blend.between(0, 1, inclusive="neither").any()
    epochs = history[[*EPOCH, "event", "blend"]].assign(float_top1=baseline)
    drawn = epochs if mixed else epochs.drop(columns="blend")
    return Drawing(title, declaration("training"), {"epochs": drawn}, note)


def layers(
    title: str, table: pd.DataFrame, note: str = "", shown: Mapping[str, str] = PANELS
) -> Drawing:
    """A row a layer from the input down, a panel for each column of `shown` that the table has."""
    found = {column: name for column, name in shown.items() if column in table}
    return Drawing(title, panels(found, legend=len(set(table.run)) > 1), {"layers": table}, note)


def panels(shown: Mapping[str, str], legend: bool = False) -> dict[str, Any]:
    """The declaration of a layer chart with these columns; a title that ends so has a log axis."""
    linear, log = ("bar", "linear", "~f"), ({"type": "point", "size": 40}, "log", "~e")
    drawn = []
    for column, name in shown.items():
        mark, scale, form = log if name.endswith(", log") else linear
        said = {"name": name, "field": column, "legend": {} if legend else None}
        drawn.append(declaration("layer", mark=mark, scale=scale, format=form, **said))
    return {"spacing": 10, "columns": 4, "usermeta": {"room": 110}, "concat": drawn}


def widths(title: str, table: pd.DataFrame, note: str = "") -> Drawing:
    """The bits of every layer as a strip, from the input to the right.

    table  layer, and a column of bits a row of the strip
    """
    strip = table.melt("layer", var_name="part", value_name="bits")
    return Drawing(title, declaration("widths"), {"widths": strip}, note)


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
