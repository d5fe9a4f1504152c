"""Charts of a run, or of several over one another: training, layers, histograms, mistakes, widths.

Each takes tables with a column `run`, so the page draws one run and an overlay from the same
declaration; the colours follow the order of the runs.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.report.charts.drawing import LIGHT, WIDTH, Drawing, declaration, named

BINS = 32
LEVELS_DRAWN = 65
OVERLAY = [LIGHT[name] for name in ("accent", "second", "s0", "s3", "s2", "s5")]
PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges")


def _colour() -> Any:
    """By run; the names stand in the page's own legend."""
    return alt.Color("run:N", sort=None, legend=None, scale=alt.Scale(range=OVERLAY))


def _curve(table: Any, field: str, title: str, height: int, **how: Any) -> Any:
    axis = alt.Axis(
        titleAnchor="start", titleAngle=0, titleAlign="left", titleY=-8, titleX=0, tickCount=4
    )
    scale = alt.Scale(zero=False, nice=True)
    base = alt.Chart(table).encode(
        x=alt.X("epoch:Q", title=None, axis=alt.Axis(tickMinStep=1)),
        y=alt.Y(f"{field}:Q", title=title, axis=axis, scale=scale),
        color=_colour(),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("run", "epoch", field, "phase")],
    )
    return base.mark_line(**how).properties(width=WIDTH, height=height), base.mark_point(size=22)


@declaration
def _training() -> Any:
    epochs, events, reference = named("epochs", "events", "reference")
    line, dots = _curve(epochs, "top1", "top-1, %", 130)
    marks = alt.Chart(events).encode(x="epoch:Q")
    rules = marks.mark_rule(color=LIGHT["rule"])
    words = marks.mark_text(align="left", angle=90, baseline="bottom", dx=2, y=0).encode(
        text="event:N"
    )
    baseline = alt.Chart(reference).mark_rule(strokeDash=[2, 3]).encode(y="top1:Q", color=_colour())
    top1 = alt.layer(rules, baseline, line, dots, words)
    losses = _curve(epochs, "train_loss", "training loss; dashed: of the scored images", 90)
    scored, _ = _curve(epochs, "val_loss", "", 90, strokeDash=[4, 3])
    share, _ = _curve(
        epochs,
        "share",
        "quantized share of the weights, %; dashed: blend",
        60,
        interpolate="step-after",
    )
    blend, _ = _curve(epochs, "blend", "", 60, strokeDash=[4, 3])
    return alt.vconcat(
        top1,
        alt.layer(*losses, scored).resolve_scale(y="shared"),
        alt.layer(share, blend),
        spacing=18,
    )


def training(title: str, epochs: pd.DataFrame, baseline: float, note: str) -> Drawing:
    """Top-1, losses and quantized share after each epoch; the schedule's events as hairlines.

    epochs  of `epoch_table`, with `event`
    """
    events = epochs.loc[epochs.event != "", ["epoch", "event"]]
    known = [{"top1": baseline, "run": epochs.run.iloc[0]}] if baseline == baseline else []
    reference = pd.DataFrame(known, columns=["top1", "run"])
    data = {"epochs": epochs.drop(columns="event"), "events": events, "reference": reference}
    return Drawing(title, _training(), data, note)


def epoch_table(name: str, history: pd.DataFrame) -> pd.DataFrame:
    """The columns of a history that are drawn; a blend only where there is one."""
    table = history[["epoch", "top1", "train_loss", "val_loss", "phase", "event"]].assign(run=name)
    mixed = bool(history.blend.between(0, 1, inclusive="neither").any())
    return table.assign(
        share=100 * history.quantized_share, blend=100 * history.blend if mixed else np.nan
    )


@declaration
def _layers(columns: tuple[str, ...]) -> Any:
    (table,) = named("layers")
    panels = []
    for position, column in enumerate(columns):
        axis = alt.Axis(title=None, grid=False, labels=position == 0, ticks=False)
        log = column.endswith("log")
        scale = alt.Scale(type="log") if log else alt.Scale(zero=True, nice=True)
        x = alt.X(
            f"{_field(column)}:Q",
            title=None,
            scale=scale,
            axis=alt.Axis(tickCount=4, format="~g" if not log else "~e"),
        )
        base = alt.Chart(table).encode(
            x=x,
            y=alt.Y("layer:N", sort=None, axis=axis),
            color=_colour(),
            tooltip=[alt.Tooltip(f"{name}:N") for name in ("run", "layer")]
            + [alt.Tooltip(f"{_field(column)}:Q", title=column, format=".4~g")],
        )
        base = base.encode(yOffset=alt.YOffset("run:N", sort=None))
        mark = base.mark_point(size=40) if log else base.mark_bar()
        panels.append(
            mark.properties(
                width=WIDTH // len(columns),
                height=alt.Step(14),
                title=alt.Title(
                    column, fontSize=10.5, fontWeight="normal", color=LIGHT["soft"], offset=4
                ),
            )
        )
    return alt.hconcat(*panels, spacing=10)


def _field(column: str) -> str:
    return column.replace(" ", "_").replace(",", "")


def layers(title: str, table: pd.DataFrame, note: str) -> Drawing:
    """A row a layer from the input down, a panel for each column of numbers beside `run`, `layer`.

    A column whose name ends in `log` is drawn on a log axis.
    """
    columns = tuple(str(name) for name in table if name not in ("run", "layer"))
    return Drawing(title, _layers(columns), {"layers": table.rename(columns=_field)}, note)


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


@declaration
def _histograms() -> Any:
    (bins,) = named("bins")
    base = alt.Chart(bins).encode(
        x=alt.X("x:Q", title=None, axis=alt.Axis(tickCount=3, format="~g"))
    )
    y = alt.Y("share:Q", axis=None, title=None)
    area = base.transform_filter("datum.kind != 'levels'").mark_area(
        interpolate="step-after", opacity=0.45, line={"strokeWidth": 1}
    )
    colour = alt.Color("colour:N", sort=None, legend=None, scale=None)
    filled = area.encode(y=y.stack(None), color=colour, detail=["run:N", "kind:N"])
    ticks = base.transform_filter("datum.kind == 'levels'").mark_rule(strokeWidth=0.9, opacity=0.55)
    levels = ticks.encode(y=alt.value(0), y2=alt.value(12), color=colour)
    return (
        alt.layer(filled, levels)
        .properties(width=190, height=84)
        .facet(facet=alt.Facet("layer:N", sort=None, title=None), columns=2, spacing=14)
        .resolve_scale(x="independent", y="independent")
    )


def histograms(title: str, layers: Sequence[dict[str, list[Any]]], note: str) -> Drawing:
    """Each layer's weights with its levels as ticks, and the errors below zero.

    layers  of `histogram_columns`
    """
    bins = {name: [v for layer in layers for v in layer[name]] for name in layers[0]}
    return Drawing(title, _histograms(), {"bins": bins}, note)


def histogram_columns(
    run: str, layer: str, arrays: Sequence[NDArray[Any]], levels: NDArray[Any]
) -> dict[str, list[Any]]:
    """Weights up and errors down, each as a share of its largest bin, on one axis; and the levels.

    arrays: those of `PARTS`. Levels are evenly thinned above `LEVELS_DRAWN`, where they touch.
    """
    found = np.unique(levels)
    found = found[:: max(1, -(-len(found) // LEVELS_DRAWN))]
    parts = [
        ("weights", LIGHT["accent"], *_bins(arrays[0], arrays[1], 1.0)),
        ("errors", LIGHT["second"], *_bins(arrays[2], arrays[3], -0.7)),
        ("levels", LIGHT["ink"], found.tolist(), [0.0] * len(found)),
    ]
    columns: dict[str, list[Any]] = {name: [] for name in ("x", "share", "kind", "colour")}
    for kind, colour, x, share in parts:
        columns["x"] += x
        columns["share"] += share
        columns["kind"] += [kind] * len(x)
        columns["colour"] += [colour] * len(x)
    count = len(columns["x"])
    return columns | {"run": [run] * count, "layer": [layer] * count}


def _bins(
    counts: NDArray[Any], edges: NDArray[Any], height: float
) -> tuple[list[float], list[float]]:
    """At most `BINS` bins, neighbours added, closed at both ends: left edges and heights."""
    factor = -(-len(counts) // BINS)
    sums = np.pad(counts, (0, -len(counts) % factor)).reshape(-1, factor).sum(1)
    share = np.round(height * sums / (sums.max(initial=0) or 1), 3)
    return [*edges[:-1:factor].tolist(), float(edges[-1])], [*share.tolist(), 0.0]


@declaration
def _confusion() -> Any:
    (table,) = named("cells")
    base = alt.Chart(table).encode(
        x=alt.X(
            "predicted:N",
            sort=None,
            title="predicted class",
            axis=alt.Axis(labelAngle=-35, grid=False, domain=False, ticks=False),
        ),
        y=alt.Y("true:N", sort=None, title=None, axis=alt.Axis(grid=False)),
    )
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("true", "predicted", "images")]
    colour = alt.condition("datum.right", alt.value(LIGHT["rule"]), alt.value(LIGHT["second"]))
    strength = alt.Opacity(
        "strength:Q", legend=None, scale=alt.Scale(domain=[0, 1], range=[0.04, 1])
    )
    squares = base.mark_rect(cornerRadius=1).encode(color=colour, opacity=strength, tooltip=tooltip)
    words = base.mark_text(color=LIGHT["ink"]).encode(text="count:N")
    return alt.layer(squares, words).properties(width=WIDTH, height=260)


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
    return Drawing(title, _confusion(), {"cells": pd.DataFrame(cells)}, note)


@declaration
def _widths() -> Any:
    (table,) = named("widths")
    base = alt.Chart(table).encode(
        x=alt.X(
            "layer:N",
            sort=None,
            title=None,
            axis=alt.Axis(labelAngle=-60, grid=False, domain=False, ticks=False),
        ),
        y=alt.Y("part:N", sort=None, title=None, axis=alt.Axis(grid=False)),
    )
    strength = alt.Opacity(
        "bits:Q", legend=None, scale=alt.Scale(domain=[0, 8], range=[0.05, 0.8], clamp=True)
    )
    tooltip = [alt.Tooltip(f"{name}:N") for name in ("layer", "part", "bits")]
    squares = base.mark_rect(color=LIGHT["accent"], cornerRadius=2).encode(
        opacity=strength, tooltip=tooltip
    )
    words = base.mark_text(fontSize=11, color=LIGHT["ink"]).encode(text="bits:N")
    return alt.layer(squares, words).properties(width=WIDTH, height=alt.Step(26))


def widths(title: str, table: pd.DataFrame, note: str) -> Drawing:
    """The bits of every layer as a strip, from the input to the right: layer, part, bits."""
    return Drawing(title, _widths(), {"widths": table}, note)


def overlays() -> dict[str, str]:
    """The declarations that the page fills with the runs a reader compares."""
    return {
        "training": _training(),
        "layers": _layers(("SQNR of the weights, dB", "weight bits")),
        "histograms": _histograms(),
    }
