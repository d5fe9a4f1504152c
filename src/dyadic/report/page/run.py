"""The runs in detail: their facts, and the tables of which the page draws one run or several."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.chosen import spent, strip
from dyadic.record.read import Record, all_layers, histories, numbers
from dyadic.report import charts
from dyadic.report.data.runs import choices_of, differing
from dyadic.report.tables import number

HISTOGRAMS, LAYERS = 24, 60  # of a run that are shown at most
REPEAT_RUN = (
    "python run.py --config-path results/runs/{} --config-name config results_dir=results/repeated"
)
SHOWN_FILES = ["config.yaml", "layers.csv", "program.json", "program.onnx", "c", "run.log"]
"""What a reader may open, as far as the run has it."""

FACTS = ["dataset", "model", "weight", "activation", "schedule", "allocation", "hardware", "phase"]
UNDRAWN = ["step", "top5", "lr", "seconds"]
SAME = ["name", "results_dir", "data_dir", "force", "resume"]
"""Choices that say nothing about a run."""


def detail(record: Record, row: Any) -> dict[str, Any]:
    """What identifies a run, how to repeat it, and its files; what the record lacks is left out.

    row  of `dyadic.report.data.runs.overview`
    """
    shown = {name: getattr(row, name) for name in [*FACTS, "reason", "note"]}
    shown |= {"seed": number(row.seed), "ended": row.ended[:16].replace("T", " ")}
    scores = {"top-1": row.top1, "float top-1": row.float_top1}
    shown |= {name: f"{value:.2f} %" for name, value in scores.items() if value == value}
    layers = record.layers().reindex(columns=["weight_bits", "activation_bits"]).apply(numbers)
    widths: Any = list(layers.dropna().itertuples(index=False)) if row.allocation else []
    shown |= {"status": row.status.removeprefix("done"), "widths": strip(widths)}
    return {
        "name": record.name,
        "command": REPEAT_RUN.format(record.name),
        "files": [name for name in SHOWN_FILES if (record.path / name).exists()],
        "facts": [(key, v) for key, v in [*shown.items(), *spent(record.summary)] if v],
    }


def drawn_runs(
    records: Sequence[Record], frame: pd.DataFrame, detailed: Collection[str]
) -> dict[str, Any]:
    """The declarations and tables of the charts of runs, one or several over one another.

    frame  `overview` of the records, and of others; detailed: the runs whose histograms are drawn
    """
    layers = all_layers(records).reindex(columns=["run", "layer", *charts.PANELS])
    layers = layers.dropna(subset="layer").groupby("run", sort=False).head(LAYERS)
    names = [charts.short_names(own.layer) for _, own in layers.groupby("run", sort=False)]
    layers = layers.assign(layer=[name for own in names for name in own])
    layers[[*charts.PANELS]] = layers[[*charts.PANELS]].apply(numbers)
    epochs, baselines = histories(records).drop(columns=UNDRAWN), frame.set_index("name").float_top1
    config = differing(choices_of(frame).drop(columns=SAME, errors="ignore"))
    return {
        "training": charts.declaration("training"),
        "layers": charts.layers("", layers.head(1)).declared,
        "histograms": charts.declaration("histograms"),
        "hues": {name: charts.LIGHT[name] for name in charts.RUNS},
        "epochs": epochs.assign(float_top1=epochs.run.map(baselines)),
        "rows": layers,
        "bins": {record.name: _bins(record) for record in records if record.name in detailed},
        "config": config.sort_index(axis=1).assign(run=frame.name),
    }


def _bins(record: Record) -> pd.DataFrame:
    """A run's histograms, of the layers with the lowest SQNR where there are many."""
    arrays, layers = record.histograms(), record.layers().reindex(columns=["layer", "sqnr_db"])
    names = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    parts: dict[str, Any] = {n: [arrays.get(f"{n}/{part}") for part in charts.PARTS] for n in names}
    noise: dict[Any, float] = dict(zip(layers.layer, numbers(layers.sqnr_db), strict=True))
    kept = sorted(parts, key=lambda name: noise.get(name, np.inf))[:HISTOGRAMS]
    labelled = {}
    for name, short in zip(parts, charts.short_names(names), strict=True):
        if name in kept and not any(part is None for part in parts[name]):
            decibels = f", {noise[name]:.1f} dB" if np.isfinite(noise.get(name, np.nan)) else ""
            levels = len(np.unique(parts[name][-1]))
            labelled[f"{short}: {levels} levels{decibels}"] = parts[name]
    return charts.histograms("", record.name, labelled).data["bins"]
