"""One run in detail, and runs laid over one another."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.chosen import spent
from dyadic.record.read import Record, all_layers, histories, numbers
from dyadic.report import charts
from dyadic.report.charts import Drawing
from dyadic.report.data.runs import choices_of, differing
from dyadic.report.tables import number, plural

HISTOGRAMS, LAYERS = 24, 60  # that are shown at most
REPEAT_RUN = (
    "python run.py --config-path results/runs/{} --config-name config results_dir=results/repeated"
)
SHOWN_FILES = ["config.yaml", "layers.csv", "program.json", "program.onnx", "c", "run.log"]
"""What a reader may open, as far as the run has it."""

NOTE = (
    "Bits of the weights and of what a layer reads; 32 are float. Sensitivity: the predicted harm "
    "of the narrowest widths. SQNR: signal to quantization noise; 6 dB are a bit. Difference: the "
    "float32 network against the program, in codes of the layer's output."
)
FACTS = ["dataset", "model", "weight", "activation", "schedule", "allocation", "hardware", "phase"]
SAME = ["name", "results_dir", "data_dir", "force", "resume"]
"""Choices that say nothing about a run."""

OVERLAID = {name: charts.PANELS[name] for name in ("sqnr_db", "weight_bits")}
"""The panels of layers that an overlay has."""


def detail(record: Record, row: Any) -> dict[str, Any]:
    """Everything of a run that can be drawn from its files; what is missing is left out.

    row  of `dyadic.report.data.runs.overview`
    """
    layers = _measured(record)
    return {
        "name": record.name,
        "command": REPEAT_RUN.format(record.name),
        "files": [name for name in SHOWN_FILES if (record.path / name).exists()],
        "facts": _facts(record, row),
        "figures": [*_training(record), *_strip(layers, record)],
        "wide": [*_layers(layers), *_histograms(record, layers)],
    }


def _measured(record: Record) -> pd.DataFrame:
    """`layers.csv` with short names, without the columns that the run did not measure."""
    table = record.layers()
    if not {"layer", "weight_bits", "parameters"} <= set(table):
        return pd.DataFrame()
    drawn = {name: numbers(table[name]) for name in charts.PANELS if name in table}
    named = {"full": table.layer, "layer": charts.short_names(table.layer), "run": record.name}
    return table.assign(**drawn, **named).dropna(axis=1, how="all")


def _facts(record: Record, row: Any) -> list[tuple[str, str]]:
    """What identifies the run; values that the record lacks are left out."""
    shown = {name: getattr(row, name) for name in [*FACTS, "reason", "note"]}
    shown |= {"seed": number(row.seed), "ended": row.ended[:16].replace("T", " ")}
    scores = {"top-1": row.top1, "float top-1": row.float_top1}
    shown |= {name: f"{value:.2f} %" for name, value in scores.items() if value == value}
    shown["status"] = row.status.removeprefix("done")
    return [(name, value) for name, value in [*shown.items(), *spent(record.summary)] if value]


def _training(record: Record) -> Iterator[Drawing]:
    history = record.history()
    if history.empty:
        return
    epochs, top1 = plural(len(history), "epoch"), record.summary.get("top1")
    title = f"{epochs} trained" if top1 is None else f"{top1:.2f} % top-1 after {epochs}"
    baseline = float(record.summary.get("float_top1") or "nan")
    phases = ", ".join(dict.fromkeys(filter(None, history.phase)))
    note = f"Phases: {phases}. Hairlines: the schedule's events." if phases else ""
    yield charts.training(title, history, baseline, note)


def _layers(layers: pd.DataFrame) -> Iterator[Drawing]:
    """Everything that was measured layer by layer, a panel each."""
    if layers.empty:
        return
    title = f"{np.average(layers.weight_bits, weights=layers.parameters):.2f} bits a weight"
    if "sqnr_db" in layers:
        worst = layers.loc[layers.sqnr_db.idxmin()]
        title += f"; {worst.layer} keeps the least signal, {worst.sqnr_db:.1f} dB"
    cut = f" First {LAYERS} of {len(layers)} layers." if len(layers) > LAYERS else ""
    shown = layers.filter([*charts.PANELS, "layer", "run"]).head(LAYERS)
    yield charts.layers(title, shown, NOTE + cut)


def _strip(layers: pd.DataFrame, record: Record) -> Iterator[Drawing]:
    """The widths where they differ between layers."""
    if layers.empty or layers.weight_bits.iloc[1:-1].nunique() < 2:
        return
    named = {"layer": "layer", "weight_bits": "weights", "activation_bits": "activations"}
    note = " ".join(f"{name}: {value}." for name, value in spent(record.summary))
    strip = layers.head(LAYERS).rename(columns=named).filter(named.values())
    yield charts.widths("The chosen widths", strip, note)


def _histograms(record: Record, layers: pd.DataFrame) -> Iterator[Drawing]:
    arrays = record.histograms()
    names = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    found = {name: [arrays.get(f"{name}/{part}") for part in charts.PARTS] for name in names}
    found = {name: own for name, own in found.items() if not any(x is None for x in own)}
    if not found:
        return
    title = f"Weights, levels and errors of {plural(len(found), 'layer')}"
    noise = layers.set_index("full").sqnr_db.to_dict() if "sqnr_db" in layers else {}
    note = "Each layer's weights with its levels as ticks, and on the same axis, downwards, the"
    note += " errors; every curve to its own height."
    kept = sorted(found, key=lambda name: noise.get(name, np.inf))[:HISTOGRAMS]
    if len(found) > HISTOGRAMS:
        note += f" The {HISTOGRAMS} of {len(found)} layers with the lowest SQNR."
    shown, labelled = [name for name in found if name in kept], {}
    for name, short in zip(shown, charts.short_names(shown), strict=True):
        decibels = f", {noise[name]:.1f} dB" if np.isfinite(noise.get(name, np.nan)) else ""
        labelled[f"{short}: {len(np.unique(found[name][-1]))} levels{decibels}"] = found[name]
    yield charts.histograms(title, record.name, labelled, note)


def comparisons(records: Sequence[Record], frame: pd.DataFrame) -> dict[str, Any]:
    """The declarations and tables of an overlay.

    frame  `overview` of the records, and of others
    """
    layers = all_layers(records).reindex(columns=["run", "layer", *OVERLAID])
    short = [charts.short_names(own.layer) for _, own in layers.groupby("run", sort=False)]
    layers["layer"] = [name for names in short for name in names]
    config = differing(choices_of(frame).drop(columns=SAME, errors="ignore"))
    return {
        "declared": {
            "training": charts.declaration("training"),
            "histograms": charts.declaration("histograms"),
            "layers": charts.layers("", layers.head(1), shown=OVERLAID).declared,
        },
        "hues": {name: charts.LIGHT[name] for name in charts.RUNS},
        "epochs": histories(records)[charts.EPOCH],
        "layers": layers,
        "config": config.sort_index(axis=1).assign(run=frame.name),
    }
