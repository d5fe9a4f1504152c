"""One run in detail: training, layers, histograms, confusion, images that the integers change."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dyadic.record.chosen import spent
from dyadic.record.read import Record, numbers
from dyadic.report.charts import charts
from dyadic.report.charts.drawing import Drawing, declaration
from dyadic.report.page.front import run_figure
from dyadic.report.text import number, plural

HISTOGRAMS = 24
LAYERS = 60
CLASSES = 12
IMAGES = 12
FILES = ["config.yaml", "layers.csv", "program.json", "program.onnx", "c", "run.log"]
"""What a reader may open, as far as the run has it."""


@dataclass(frozen=True)
class Detail:
    """What the page shows of a run when it is opened."""

    name: str
    command: str
    files: list[str]
    facts: list[tuple[str, str]]
    figures: list[Drawing]
    layers: Drawing | None
    histograms: Drawing | None
    images: list[tuple[str, str]]


def detail(record: Record, row: Any, fronts: Mapping[str, pd.DataFrame]) -> Detail:
    """Everything of a run that can be drawn from its files; what is missing is left out.

    row     of `dyadic.report.data.runs.overview`
    fronts  of `read_fronts`; the one that the run's widths are on is drawn
    """
    arrays, layers = record.histograms(), record.layers()
    figures = [_training(record), _confusion(arrays, record.summary), _strip(layers, record)]
    figures.append(run_figure(record, fronts))
    return Detail(
        name=record.name,
        command=repeat(record),
        files=[name for name in FILES if (record.path / name).exists()],
        facts=_facts(record, row),
        figures=[figure for figure in figures if figure is not None],
        layers=_layers(layers, record),
        histograms=_histograms(record, arrays, layers),
        images=_images(arrays, record.summary),
    )


def repeat(record: Record) -> str:
    """The command that repeats a run from its own choices, into another folder."""
    place = f"results/runs/{record.name}"
    return f"python run.py --config-path {place} --config-name config results_dir=results/repeated"


def _facts(record: Record, row: Any) -> list[tuple[str, str]]:
    """Name and value of what identifies the run; values that the record lacks are left out."""
    names = ["dataset", "model", "weight", "activation", "schedule", "allocation", "hardware"]
    shown = {name: getattr(row, name) for name in [*names, "phase", "reason", "note"]}
    shown |= {"seed": number(row.seed), "ended": row.ended[:16].replace("T", " ")}
    for name, value in (("top-1", row.top1), ("float top-1", row.float_top1)):
        shown[name] = f"{value:.2f} %" if np.isfinite(value) else ""
    shown["status"] = "" if record.status == "done" else record.status
    return [(k, v) for k, v in [*shown.items(), *spent(record.summary)] if v]


def _training(record: Record) -> Drawing | None:
    history = record.history()
    if history.empty:
        return None
    scored = history.dropna(subset="top1")
    events = int((history.event != "").sum())
    title = f"{plural(len(history), 'epoch')} of fine-tuning, {plural(events, 'event')}"
    if len(scored):
        title = f"{scored.top1.iloc[-1]:.2f} % top-1 after {plural(len(history), 'epoch')}"
    baseline = float(record.summary.get("float_top1") or "nan")
    phases = ", ".join(dict.fromkeys(filter(None, history.phase)))
    note = f"Phases: {phases}. Hairlines: the schedule's events." if phases else ""
    if history.blend.between(0, 1, inclusive="neither").any():
        note += " Dashed below: the blend λ/(1 + λ), from float (0 %) to quantized (100 %)."
    return charts.training(title, charts.epoch_table(record.name, history), baseline, note)


def _layers(layers: pd.DataFrame, record: Record) -> Drawing | None:
    """Everything that was measured layer by layer, a panel each."""
    columns = {panel: _column(layers, name) for panel, name in PANELS.items()}
    measured = {panel: values for panel, values in columns.items() if values is not None}
    if "layer" not in layers or not measured:
        return None
    names, facts = charts.short_names(list(map(str, layers.layer))), []
    if "weight bits" in measured:
        sizes = _column(layers, "parameters")
        facts.append(f"{np.average(measured['weight bits'], weights=sizes):.2f} bits a weight")
    for panel, pick, words in EXTREMES:
        if panel in measured:
            where_ = int(pick(measured[panel]))
            facts.append(words.format(names[where_], measured[panel][where_]))
    shown = pd.DataFrame({"run": record.name, "layer": names, **measured}).head(LAYERS)
    cut = f" First {LAYERS} of {len(layers)} layers." if len(layers) > LAYERS else ""
    return charts.layers("; ".join(facts), shown, NOTE + cut)


PANELS = {
    "weight bits": "weight_bits",
    "activation bits": "activation_bits",
    "sensitivity, log": "sensitivity",
    "SQNR of the weights, dB": "sqnr_db",
    "difference, steps": "float_difference_steps",
    "accumulator, bits": "accumulator_bits",
}
"""Panels of a layer chart, and the columns of `layers.csv` that they show."""

EXTREMES = [
    ("SQNR of the weights, dB", np.nanargmin, "{} keeps the least signal, {:.1f} dB"),
    ("difference, steps", np.nanargmax, "float and integers differ most in {}, {:.3g} steps"),
]
NOTE = (
    "Widths of the weights and of what a layer reads; 32 are float. Sensitivity: the predicted "
    "harm of the narrowest widths in use, for every layer. SQNR: signal to quantization noise; "
    "6 dB are one bit. Difference: the trained float32 network against the program, in codes of "
    "the layer's output; fine codes, as of 16 bits before an addition, make many steps of a small "
    "difference."
)


def _strip(layers: pd.DataFrame, record: Record) -> Drawing | None:
    """The widths where they differ between layers."""
    weights = _column(layers, "weight_bits")
    if weights is None or len(set(weights[1:-1])) < 2:
        return None
    names = charts.short_names(list(map(str, layers.layer)))
    parts = {"weights": weights, "activations": _column(layers, "activation_bits")}
    tables = [
        pd.DataFrame({"layer": names, "part": part, "bits": bits}).head(LAYERS)
        for part, bits in parts.items()
        if bits is not None
    ]
    note = "; ".join(f"{name}: {value}" for name, value in spent(record.summary))
    data = {"widths": pd.concat(tables, ignore_index=True)}
    return Drawing("The chosen widths", declaration("widths"), data, note and f"{note}.")


def _column(layers: pd.DataFrame, name: str) -> list[float] | None:
    """A column as numbers, or None where the run did not measure it."""
    if name not in layers:
        return None
    values = list(numbers(layers[name]))
    return values if np.isfinite(values).any() else None


def _histograms(
    record: Record, arrays: dict[str, NDArray[Any]], layers: pd.DataFrame
) -> Drawing | None:
    names = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    names = [n for n in names if all(f"{n}/{part}" in arrays for part in charts.PARTS)]
    if not names:
        return None
    values = _column(layers, "sqnr_db") if "layer" in layers else None
    noise = dict(zip(map(str, layers.layer), values, strict=True)) if values else {}
    note = "Each layer's weights with its levels as ticks, and on the same axis, downwards, the"
    note += " errors; every curve to its own height."
    if len(names) > HISTOGRAMS:
        kept = set(sorted(names, key=lambda n: noise.get(n, np.inf))[:HISTOGRAMS])
        note += f" The {HISTOGRAMS} of {len(names)} layers with the lowest SQNR."
        names = [name for name in names if name in kept]
    tables = []
    for name, title in zip(names, charts.short_names(names), strict=True):
        levels = arrays[f"{name}/levels"].ravel()
        label = f"{title}: {len(np.unique(levels))} levels"
        if np.isfinite(noise.get(name, np.nan)):
            label += f", {noise[name]:.1f} dB"
        parts = [arrays[f"{name}/{part}"] for part in charts.PARTS]
        tables.append(charts.histogram_columns(record.name, label, parts, levels))
    title = f"Weights, levels and errors of {plural(len(names), 'layer')}"
    return charts.histograms(title, tables, note)


def _class_names(summary: dict[str, Any], count: int) -> list[str]:
    names = summary.get("classes")
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [str(k) for k in range(count)]


def _confusion(arrays: dict[str, NDArray[Any]], summary: dict[str, Any]) -> Drawing | None:
    matrix = arrays.get("confusion")
    if matrix is None or matrix.ndim != 2 or not matrix.sum():
        return None
    names = _class_names(summary, len(matrix))
    wrong = matrix - np.diag(np.diag(matrix))
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    title = f"{names[row]} is taken for {names[column]}, {int(wrong[row, column])} times"
    if not wrong.any():
        title = "No image is taken for another class"
    note = f"All {int(matrix.sum())} test images; colour: share of the true class."
    if len(matrix) > CLASSES:
        kept = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), stable=True)[:CLASSES])
        note += f" The {CLASSES} of {len(matrix)} classes with the most mistakes."
        matrix, names = matrix[np.ix_(kept, kept)], [names[k] for k in kept]
    return charts.confusion(title, matrix, names, note)


def _images(arrays: dict[str, NDArray[Any]], summary: dict[str, Any]) -> list[tuple[str, str]]:
    """(address, caption) of images that float and integers classify differently."""
    images, labels = arrays.get("disagreeing"), arrays.get("disagreeing_labels")
    if images is None or labels is None or images.ndim != 4:
        return []
    classes = len(arrays["confusion"]) if "confusion" in arrays else int(labels.max(initial=0)) + 1
    names = _class_names(summary, classes)
    return [
        (data_uri(image.astype(np.uint8)), "{}: float {}, integer {}".format(*words))
        for image, row in zip(images[:IMAGES], labels[:IMAGES], strict=True)
        for words in [[names[int(k)] for k in row]]
    ]


def data_uri(image: NDArray[np.uint8]) -> str:
    """A `data:` address with the image, uint8 [C, H, W], one channel or three."""
    pixels = image[0] if len(image) == 1 else image[:3].transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
