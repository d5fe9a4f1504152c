"""One run in detail: training, layers, histograms, confusion, images that the integers change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.record.read import Record, numbers
from dyadic.report.charts import png, run_charts
from dyadic.report.charts.heat_map import heat_map
from dyadic.report.charts.run_charts import Panel
from dyadic.report.page.front import run_figure
from dyadic.report.page.overview import Figure, plural

HISTOGRAMS = 24
LAYERS = 60
CLASSES = 12
IMAGES = 12
FLOAT_BITS = 32


@dataclass(frozen=True)
class Detail:
    """What the page shows of a run when it is opened."""

    name: str
    figures: list[Figure]
    histograms: list[str]
    histogram_note: str
    images: list[tuple[str, str]]
    image_note: str


def detail(record: Record, fronts: Mapping[str, pd.DataFrame]) -> Detail:
    """Everything of a run that can be drawn from its files; what is missing is left out.

    fronts: those of `dyadic.report.data.fronts.read_fronts`; one that the run's widths are on is
    drawn.
    """
    arrays, layers = record.histograms(), record.layers()
    figures = [_training(record), *_layers(layers), run_figure(record, fronts)]
    figures.append(_confusion(arrays, record.summary))
    histograms, histogram_note = _histograms(arrays, layers)
    images, image_note = _images(arrays, record.summary)
    drawn = [figure for figure in figures if figure is not None]
    return Detail(record.name, drawn, histograms, histogram_note, images, image_note)


def _training(record: Record) -> Figure | None:
    history = record.history()
    if history.empty:
        return None
    scored = history.dropna(subset="top1")
    events = int((history.event != "").sum())
    title = f"{plural(len(history), 'epoch')} of fine-tuning, {plural(events, 'event')}"
    if len(scored):
        title = f"{scored.top1.iloc[-1]:.2f} % top-1 after {plural(len(history), 'epoch')}"
    drawing = run_charts.training(
        list(history.epoch),
        list(history.top1),
        list(history.quantized_share),
        list(history.blend),
        list(history.event),
        float(record.summary.get("float_top1") or "nan"),
        title,
    )
    phases = ", ".join(dict.fromkeys(filter(None, history.phase)))
    note = f"Phases: {phases}. Hairlines: the schedule's events." if phases else ""
    if history.blend.between(0, 1, inclusive="neither").any():
        note += " Second curve: the blend λ/(1 + λ), from float (0 %) to quantized (100 %)."
    return Figure(title, drawing, note)


def _layers(layers: pd.DataFrame) -> list[Figure | None]:
    if "layer" not in layers:
        return []
    shown = layers.head(LAYERS)
    cut = f" First {LAYERS} of {len(layers)} layers." if len(layers) > LAYERS else ""
    return [_bits(shown, cut), _sqnr(shown, cut), _difference(shown, cut)]


def _bits(layers: pd.DataFrame, cut: str) -> Figure | None:
    bits = _column(layers, "weight_bits")
    if bits is None:
        return None
    panels = [Panel("weight bits", bits, 0)]
    note = "Bits of each layer's weights; 32 are float."
    read = _column(layers, "activation_bits")
    if read is not None and min(read) < FLOAT_BITS:
        panels.append(Panel("activation bits", read, 0))
        note = "Bits of each layer's weights and of what it reads; 32 are float."
    sensitivity = _column(layers, "sensitivity")
    title = f"{_weighted(layers, bits):.2f} bits a weight on average"
    if sensitivity is not None:
        panels.append(Panel("sensitivity, log", sensitivity, kind="dot"))
        title += f"; {_names(layers)[int(np.nanargmax(sensitivity))]} is the most sensitive"
        note += " Sensitivity: the predicted harm of the narrowest widths in use, for every layer."
    return Figure(title, run_charts.layers(list(layers.layer), panels, title), note + cut)


def _weighted(layers: pd.DataFrame, bits: list[float]) -> float:
    parameters = _column(layers, "parameters") or [1.0] * len(bits)
    return float(np.average(bits, weights=parameters))


def _sqnr(layers: pd.DataFrame, cut: str) -> Figure | None:
    values = _column(layers, "sqnr_db")
    if values is None:
        return None
    worst = int(np.nanargmin(values))
    title = f"{_names(layers)[worst]} keeps the least signal: {values[worst]:.1f} dB"
    panels = [Panel("SQNR of the weights, dB", values)]
    drawing = run_charts.layers(list(layers.layer), panels, title)
    return Figure(title, drawing, "Signal to quantization noise; 6 dB are one bit." + cut)


def _difference(layers: pd.DataFrame, cut: str) -> Figure | None:
    values = _column(layers, "float_difference_steps")
    if values is None:
        return None
    worst = int(np.nanargmax(values))
    title = f"Float and integers differ by at most {values[worst]:.3g} steps"
    whole = all(float(value).is_integer() for value in values)
    panels = [Panel("largest difference, steps", values, 0 if whole else 2)]
    bits = _column(layers, "accumulator_bits")
    panels += [Panel("accumulator, bits", bits, 0)] if bits is not None else []
    note = f"The trained float32 network against the program; worst in {_names(layers)[worst]}."
    note += " A step is one code of the layer's output: fine codes, as of 16 bits before an"
    note += " addition, make many steps of a small difference."
    return Figure(title, run_charts.layers(list(layers.layer), panels, title), note + cut)


def _names(layers: pd.DataFrame) -> list[str]:
    return run_charts.short_names(list(map(str, layers.layer)))


def _by_layer(layers: pd.DataFrame, name: str) -> dict[str, float]:
    values = _column(layers, name) if "layer" in layers else None
    return {} if values is None else dict(zip(map(str, layers.layer), values, strict=True))


def _column(layers: pd.DataFrame, name: str) -> list[float] | None:
    """A column as numbers, or None where the run did not measure it."""
    if name not in layers:
        return None
    values = list(numbers(layers[name]))
    return values if np.isfinite(values).any() else None


def _histograms(arrays: dict[str, NDArray[Any]], layers: pd.DataFrame) -> tuple[list[str], str]:
    names = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    names = [n for n in names if all(f"{n}/{part}" in arrays for part in PARTS)]
    if not names:
        return [], ""
    noise = _by_layer(layers, "sqnr_db")
    note = "Each layer's weights with its levels as ticks, and on the same axis the errors."
    if len(names) > HISTOGRAMS:
        kept = set(sorted(names, key=lambda n: noise.get(n, np.inf))[:HISTOGRAMS])
        note += f" The {HISTOGRAMS} of {len(names)} layers with the lowest SQNR."
        names = [name for name in names if name in kept]
    titles = run_charts.short_names(names)
    drawn = [
        _histogram(arrays, name, title, noise.get(name))
        for name, title in zip(names, titles, strict=True)
    ]
    return drawn, note


PARTS = ("weight_counts", "weight_edges", "error_counts", "error_edges")


def _histogram(arrays: dict[str, NDArray[Any]], name: str, title: str, sqnr: float | None) -> str:
    levels = arrays[f"{name}/levels"].ravel()
    fact = f"{len(np.unique(levels))} levels"
    if sqnr is not None and np.isfinite(sqnr):
        fact += f", {sqnr:.1f} dB"
    parts = [arrays[f"{name}/{part}"] for part in PARTS]
    weights, errors = (parts[0], parts[1]), (parts[2], parts[3])
    return run_charts.histogram(weights, errors, levels, title, fact)


def _class_names(summary: dict[str, Any], count: int) -> list[str]:
    names = summary.get("classes")
    if isinstance(names, list) and len(names) == count:
        return [str(name) for name in names]
    return [str(k) for k in range(count)]


def _confusion(arrays: dict[str, NDArray[Any]], summary: dict[str, Any]) -> Figure | None:
    matrix = arrays.get("confusion")
    if matrix is None or matrix.ndim != 2 or not matrix.sum():
        return None
    names = _class_names(summary, len(matrix))
    wrong = matrix - np.diag(np.diag(matrix))
    row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
    title = f"{names[row]} is taken for {names[column]}, {int(wrong[row, column])} times"
    note = f"All {int(matrix.sum())} test images; colour: share of the true class."
    if len(matrix) > CLASSES:
        kept = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), stable=True)[:CLASSES])
        note += f" The {CLASSES} of {len(matrix)} classes with the most mistakes."
        matrix, names = matrix[np.ix_(kept, kept)], [names[k] for k in kept]
    return Figure(title, heat_map(matrix, names, title), note)


def _images(
    arrays: dict[str, NDArray[Any]], summary: dict[str, Any]
) -> tuple[list[tuple[str, str]], str]:
    """(address, caption) of images that float and integers classify differently, and a sentence."""
    images, labels = arrays.get("disagreeing"), arrays.get("disagreeing_labels")
    if images is None or labels is None or images.ndim != 4:
        return [], ""
    classes = len(arrays["confusion"]) if "confusion" in arrays else int(labels.max(initial=0)) + 1
    names = _class_names(summary, classes)
    shown = [
        (png.data_uri(image.astype(np.uint8)), "{}: float {}, integer {}".format(*words))
        for image, row in zip(images[:IMAGES], labels[:IMAGES], strict=True)
        for words in [[names[int(k)] for k in row]]
    ]
    count = plural(len(images), "test image")
    return shown, f"{count} with another class from the integers than from float32"
