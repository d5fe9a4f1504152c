"""The charts of the page, the claims, the README and the notebooks: tables for declarations.

Charts of runs take tables with a column `run`, so the page draws one run and an overlay alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.report.charts.drawing import CONFIG, LIGHT, Drawing, declaration

BINS, LEVELS_DRAWN = 32, 65
PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges", "levels")
POINT = {"says": "", "weight": 1.0, "sd": 0.0, "joined": False}

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
    slots: Mapping[str, int] | None = None,
    note: str = "",
    corners: pd.DataFrame | None = None,
    low: float | None = None,
    log: bool = False,
    reference: float = float("nan"),
) -> Drawing:
    """Points of two numbers, whiskers, lines, and a line of steps through `corners`.

    points     series, x, y; says (on hovering), weight (opacity), sd (a whisker) and joined (True:
               a line through the series) may be left out
    slots      the colour and shape of every series, in their order unless given
    labels     of the axes; corners: x, y, label; reference: the float network's top-1
    low        where whiskers end
    """
    slots = slots or {series: k for k, series in enumerate(dict.fromkeys(points.series))}
    table = points.assign(**{k: v for k, v in POINT.items() if k not in points})
    spread = table.sd.fillna(0.0)
    least = (table.y - spread).clip(lower=low)
    table = table.assign(least=least, most=table.y + spread).drop(columns="sd")
    lines = pd.DataFrame({"y": [reference], "label": [f"float {reference:.2f}"]}).dropna()
    colours, shapes = CONFIG["range"]["category"], CONFIG["range"]["symbol"]

    wide = table.x.max() > 10 * table.x.min() > 0
    kinds = {True: {"type": "log"}, False: {"zero": False}}
    whole = {"tickMinStep": 1, "format": "d"} if "bits" in labels[0].split() else {}
    declared = declaration(
        "scores",
        domain=list(slots),
        range=[colours[slot % len(colours)] for slot in slots.values()],
        symbols=[shapes[slot % len(shapes)] for slot in slots.values()],
        x=labels[0],
        y=labels[1],
        across={"nice": False, "padding": 16} | kinds[wide],
        down={"padding": 14} | kinds[log],
        ticks={"tickCount": 3} if wide else whole,
        steps=3 if log else 6,
    )
    corners = pd.DataFrame(columns=["x", "y", "label"]) if corners is None else corners
    return Drawing(title, declared, {"points": table, "corners": corners, "reference": lines}, note)


def training(title: str, history: pd.DataFrame, baseline: float, note: str) -> Drawing:
    """Top-1, losses and quantized share after each epoch; the schedule's events as hairlines.

    history  of `dyadic.record.read.histories`
    """
    events = history.loc[history.event != "", ["epoch", "event"]]
    mixed = history.blend.between(0, 1, inclusive="neither").any()
    epochs = epoch_table(history).assign(blend=100 * history.blend if mixed else np.nan)
    reference = pd.DataFrame({"top1": [baseline], "run": history.run.iloc[:1]}).dropna()
    data = {"epochs": epochs, "events": events, "reference": reference}
    return Drawing(title, declaration("training"), data, note)


def epoch_table(history: pd.DataFrame) -> pd.DataFrame:
    """The columns of a history that are drawn, the quantized share in percent."""
    columns = ["run", "epoch", "top1", "train_loss", "val_loss", "phase"]
    return history[columns].assign(share=100 * history.quantized_share)


def layers(
    title: str, table: pd.DataFrame, note: str = "", shown: Mapping[str, str] = PANELS
) -> Drawing:
    """A row a layer from the input down, a panel for each column of `shown` that the table has."""
    found = {column: name for column, name in shown.items() if column in table}
    return Drawing(title, panels(found, legend=len(set(table.run)) > 1), {"layers": table}, note)


def panels(shown: Mapping[str, str], legend: bool = False) -> dict[str, Any]:
    """The declaration of a layer chart with these columns; a title that ends so has a log axis."""
    log = {"mark": {"type": "point", "size": 40}, "scale": "log", "format": "~e"}
    linear = {"mark": "bar", "scale": "linear", "format": "~f"}
    drawn = [
        declaration(
            "layer",
            name=name,
            field=column,
            width=420 // len(shown),
            labels=column == next(iter(shown)),
            legend={} if legend else None,
            **(log if name.endswith(", log") else linear),
        )
        for column, name in shown.items()
    ]
    return {"spacing": 10, "hconcat": drawn}


def widths(title: str, table: pd.DataFrame, note: str = "") -> Drawing:
    """The bits of every layer as a strip, from the input to the right.

    table  layer, and a column of bits a row of the strip
    """
    strip = table.melt("layer", var_name="part", value_name="bits")
    declared = declaration("widths", height=26 * (len(table.columns) - 1))
    return Drawing(title, declared, {"widths": strip}, note)


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


def confusion(title: str, matrix: NDArray[Any], names: Sequence[str], note: str) -> Drawing:
    """A confusion matrix [n, n], rows true: mistakes coloured by their share of the true class.

    The diagonal has its own, quiet colour; otherwise it alone would set the scale.
    """
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    wrong = shares * (1 - np.eye(len(matrix)))
    strength = wrong / (wrong.max(initial=0.0) or 1.0) + 0.5 * np.eye(len(matrix))
    cells = [
        {"true": names[i], "predicted": names[j], "images": int(matrix[i, j]), "right": i == j}
        | {"strength": strength[i, j], "count": str(int(matrix[i, j]) or "")}
        for i, j in np.ndindex(*matrix.shape)
    ]
    return Drawing(title, declaration("confusion"), {"cells": pd.DataFrame(cells)}, note)
