"""The charts of the page, the claims, the README and the notebooks: tables for declarations.

Charts of runs take tables with a column `run`, so the page draws one run and an overlay alike.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.report.charts.drawing import CONFIG, LIGHT, Drawing, declaration

BINS = 32
LEVELS_DRAWN = 65
PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges")
POINT = {"solid": True, "weight": 1.0, "sd": 0.0, "joined": False}


def scores(
    title: str,
    points: pd.DataFrame,
    labels: tuple[str, str],
    slots: Mapping[str, int],
    note: str = "",
    corners: pd.DataFrame | None = None,
    low: float | None = None,
    log: bool = False,
    reference: float = float("nan"),
) -> Drawing:
    """Points of two numbers, whiskers, lines, and a line of steps through `corners`.

    points     series, x, y, says; solid (False: hollow), weight (opacity), sd (a whisker) and
               joined (True: a line through the series) may be left out
    slots      the colour and shape of every series; labels: of the axes
    corners    x, y, label; reference: the float network's top-1; low: where the axis begins
    """
    table = points.assign(**{k: v for k, v in POINT.items() if k not in points})
    spread = table.sd.fillna(0.0)
    table = table.assign(least=table.y - spread, most=table.y + spread).drop(columns="sd")
    corners = pd.DataFrame(columns=["x", "y", "label"]) if corners is None else corners
    known = [{"y": reference, "label": f"float {reference:.2f}"}] if reference == reference else []
    colours, shapes = CONFIG["range"]["category"], CONFIG["range"]["symbol"]
    scale = {"zero": False, "nice": True, "type": "log" if log else "linear"}
    declared = declaration(
        "scores",
        domain=list(slots),
        range=[colours[slot % len(colours)] for slot in slots.values()],
        symbols=[shapes[slot % len(shapes)] for slot in slots.values()],
        x=labels[0],
        y=labels[1],
        scale=scale if low is None else scale | {"domainMin": low},
        ticks={"tickMinStep": 1, "format": "d"} if "bits" in labels[0].split() else {},
    )
    lines = pd.DataFrame(known, columns=["y", "label"])
    data = {"points": table, "corners": corners, "reference": lines}
    return Drawing(title, declared, data, note)


def training(title: str, epochs: pd.DataFrame, baseline: float, note: str) -> Drawing:
    """Top-1, losses and quantized share after each epoch; the schedule's events as hairlines.

    epochs  of `epoch_table`
    """
    events = epochs.loc[epochs.event != "", ["epoch", "event"]]
    known = [{"top1": baseline, "run": epochs.run.iloc[0]}] if baseline == baseline else []
    reference = pd.DataFrame(known, columns=["top1", "run"])
    data = {"epochs": epochs.drop(columns="event"), "events": events, "reference": reference}
    return Drawing(title, declaration("training"), data, note)


def epoch_table(name: str, history: pd.DataFrame) -> pd.DataFrame:
    """The columns of a history that are drawn; a blend only where there is one."""
    table = history[["epoch", "top1", "train_loss", "val_loss", "phase", "event"]].assign(run=name)
    mixed = bool(history.blend.between(0, 1, inclusive="neither").any())
    blend = 100 * history.blend if mixed else np.nan
    return table.assign(share=100 * history.quantized_share, blend=blend)


def layers(title: str, table: pd.DataFrame, note: str) -> Drawing:
    """A row a layer from the input down, a panel for each column of numbers beside `run`, `layer`.

    A column whose name ends in `log` is drawn on a log axis.
    """
    names = [str(name) for name in table if name not in ("run", "layer")]
    renamed = table.rename(columns={name: field(name) for name in names})
    return Drawing(title, _panels(names), {"layers": renamed}, note)


def _panels(names: Sequence[str]) -> str:
    panels = [_panel(name, first=k == 0, count=len(names)) for k, name in enumerate(names)]
    return json.dumps({"spacing": 10, "hconcat": panels}, separators=(",", ":"))


def _panel(name: str, first: bool, count: int) -> Any:
    log = name.endswith("log")
    text = declaration(
        "layer",
        name=name,
        field=field(name),
        width=420 // count,
        mark={"type": "point", "size": 40} if log else "bar",
        scale="log" if log else "linear",
        format="~e" if log else "~g",
        labels=first,
    )
    return json.loads(text)


OVERLAID = {"SQNR of the weights, dB": "sqnr_db", "weight bits": "weight_bits"}
"""Panels of an overlay, and the columns of `layers.csv` that they show."""


def field(name: str) -> str:
    """A panel's name as that of a column, without what Vega would read as a path.

    >>> field("sensitivity, log")
    'sensitivity_log'
    """
    return name.replace(" ", "_").replace(",", "")


def overlays() -> dict[str, Any]:
    """The declarations that the page fills with the runs a reader compares."""
    declared = {name: declaration(name) for name in ("training", "histograms")}
    declared["layers"] = _panels([*OVERLAID])
    return {name: json.loads(text) for name, text in declared.items()}


def short_names(names: list[str]) -> list[str]:
    """Layer names without the modules that all of them lie in.

    >>> short_names(["body.conv1", "body.layer1.0.conv1"])
    ['conv1', 'layer1.0.conv1']
    """
    parents = [name.split(".")[:-1] for name in names]
    common = 0
    while parents and all(len(p) > common and p[common] == parents[0][common] for p in parents):
        common += 1
    return [".".join(name.split(".")[common:]) for name in names]


def histograms(title: str, layers: Sequence[dict[str, list[Any]]], note: str) -> Drawing:
    """Each layer's weights with its levels as ticks, and the errors; of `histogram_columns`."""
    numbered = [columns | {"row": [k] * len(columns["x"])} for k, columns in enumerate(layers)]
    bins = {name: [v for layer in numbered for v in layer[name]] for name in numbered[0]}
    return Drawing(title, declaration("histograms"), {"bins": bins}, note)


def histogram_columns(
    run: str, layer: str, arrays: Sequence[NDArray[Any]], levels: NDArray[Any]
) -> dict[str, list[Any]]:
    """Weights up and errors down, each as a share of its largest bin, on one axis; and the levels.

    arrays: those of `PARTS`. Levels are evenly thinned above `LEVELS_DRAWN`, where they touch.
    """
    found = np.unique(levels)
    found = found[:: max(1, -(-len(found) // LEVELS_DRAWN))].tolist()
    columns: dict[str, list[Any]] = {name: [] for name in ("x", "share", "kind", "colour")}
    for kind, colour, (x, share) in (
        ("weights", LIGHT["accent"], _bins(arrays[0], arrays[1], 1.0)),
        ("errors", LIGHT["second"], _bins(arrays[2], arrays[3], -0.7)),
        ("levels", LIGHT["ink"], (found, [0.0] * len(found))),
    ):
        columns["x"] += x
        columns["share"] += share
        columns["kind"] += [kind] * len(x)
        columns["colour"] += [colour] * len(x)
    count = len(columns["x"])
    return columns | {"run": [run] * count, "layer": [layer] * count}


def _bins(counts: NDArray[Any], edges: NDArray[Any], height: float) -> tuple[list[Any], list[Any]]:
    """At most `BINS` bins, neighbours added, closed at both ends: left edges and heights."""
    factor = -(-len(counts) // BINS)
    sums = np.pad(counts, (0, -len(counts) % factor)).reshape(-1, factor).sum(1)
    share = np.round(height * sums / (sums.max(initial=0) or 1), 3)
    return [*edges[:-1:factor].tolist(), float(edges[-1])], [*share.tolist(), 0.0]


def confusion(title: str, matrix: NDArray[Any], names: Sequence[str], note: str) -> Drawing:
    """A confusion matrix [n, n], rows true: mistakes coloured by their share of the true class.

    The diagonal has its own, quiet colour; otherwise it alone would set the scale.
    """
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    wrong = shares - np.diag(np.diag(shares))
    strength = wrong / (wrong.max(initial=0.0) or 1.0) + 0.5 * np.eye(len(matrix))
    cells = [
        {"true": true, "predicted": predicted, "images": int(matrix[i, j]), "right": i == j}
        | {"strength": strength[i, j], "count": str(int(matrix[i, j]) or "")}
        for i, true in enumerate(names)
        for j, predicted in enumerate(names)
    ]
    return Drawing(title, declaration("confusion"), {"cells": pd.DataFrame(cells)}, note)
