"""One run in detail, from its training to its wrong images; and runs laid over one another."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from dyadic.record.chosen import spent
from dyadic.record.read import Record, all_layers, histories, numbers
from dyadic.report import charts
from dyadic.report.charts.drawing import RUNS, Drawing, declaration
from dyadic.report.data.runs import flat
from dyadic.report.text import number, plural

HISTOGRAMS, LAYERS, CLASSES, IMAGES = 24, 60, 12, 12  # that are shown at most
REPEAT_RUN = (
    "python run.py --config-path results/runs/{} --config-name config results_dir=results/repeated"
)
SHOWN_FILES = ["config.yaml", "layers.csv", "program.json", "program.onnx", "c", "run.log"]
"""What a reader may open, as far as the run has it."""

Arrays = Mapping[str, NDArray[Any]]


def detail(record: Record, row: Any) -> dict[str, Any]:
    """Everything of a run that can be drawn from its files; what is missing is left out.

    row  of `dyadic.report.data.runs.overview`
    """
    arrays, layers = record.histograms(), _measured(record)
    classes = _classes(record, arrays)
    figures = [_training(record), _confusion(arrays, classes), _strip(layers, record)]
    return {
        "name": record.name,
        "command": REPEAT_RUN.format(record.name),
        "files": [name for name in SHOWN_FILES if (record.path / name).exists()],
        "facts": _facts(record, row),
        "figures": [figure for figure in figures if figure is not None],
        "layers": _layers(layers, record),
        "histograms": _histograms(record, arrays, layers),
        "images": _images(arrays, classes),
    }


def _measured(record: Record) -> pd.DataFrame:
    """`layers.csv` without the columns of `PANELS` that the run did not measure."""
    table = record.layers()
    if "layer" not in table:
        return pd.DataFrame()
    drawn = {name: numbers(table[name]) for name in charts.PANELS if name in table}
    return table.assign(**drawn).dropna(axis=1, how="all")


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
    epochs, scored = plural(len(history), "epoch"), history.top1.dropna()
    title = f"{scored.iloc[-1]:.2f} % top-1 after {epochs}" if len(scored) else f"{epochs} trained"
    baseline = float(record.summary.get("float_top1") or "nan")
    phases = ", ".join(dict.fromkeys(filter(None, history.phase)))
    note = f"Phases: {phases}. Hairlines: the schedule's events." if phases else ""
    if history.blend.between(0, 1, inclusive="neither").any():
        note += " Dashed below: the blend λ/(1 + λ), from float (0 %) to quantized (100 %)."
    return charts.training(title, history, baseline, note)


def _layers(layers: pd.DataFrame, record: Record) -> Drawing | None:
    """Everything that was measured layer by layer, a panel each."""
    if not {"weight_bits", "parameters"} <= set(layers):
        return None
    shown = layers.filter([*charts.PANELS]).assign(
        run=record.name, layer=charts.short_names(layers.layer)
    )
    title = f"{np.average(layers.weight_bits, weights=layers.parameters):.2f} bits a weight"
    if "sqnr_db" in layers:
        worst = shown.loc[shown.sqnr_db.idxmin()]
        title += f"; {worst.layer} keeps the least signal, {worst.sqnr_db:.1f} dB"
    cut = f" First {LAYERS} of {len(layers)} layers." if len(layers) > LAYERS else ""
    return charts.layers(title, shown.head(LAYERS), NOTE + cut)


NOTE = (
    "Bits of the weights and of what a layer reads; 32 are float. Sensitivity: the predicted harm "
    "of the narrowest widths. SQNR: signal to quantization noise; 6 dB are a bit. Difference: the "
    "float32 network against the program, in codes of the layer's output."
)


def _strip(layers: pd.DataFrame, record: Record) -> Drawing | None:
    """The widths where they differ between layers."""
    if "weight_bits" not in layers or layers.weight_bits.iloc[1:-1].nunique() < 2:
        return None
    named = {"weight_bits": "weights", "activation_bits": "activations"}
    widths = layers.rename(columns=named).filter(named.values()).head(LAYERS)
    widths["layer"] = charts.short_names(layers.layer)[:LAYERS]
    note = "; ".join(f"{name}: {value}" for name, value in spent(record.summary))
    return charts.widths("The chosen widths", widths, note and f"{note}.")


def _histograms(record: Record, arrays: Arrays, layers: pd.DataFrame) -> Drawing | None:
    names = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    names = [n for n in names if all(f"{n}/{part}" in arrays for part in charts.PARTS)]
    if not names:
        return None
    title = f"Weights, levels and errors of {plural(len(names), 'layer')}"
    noise = layers.set_index("layer").sqnr_db.to_dict() if "sqnr_db" in layers else {}
    note = "Each layer's weights with its levels as ticks, and on the same axis, downwards, the"
    note += " errors; every curve to its own height."
    kept = sorted(names, key=lambda n: noise.get(n, np.inf))[:HISTOGRAMS]
    if len(names) > HISTOGRAMS:
        note += f" The {HISTOGRAMS} of {len(names)} layers with the lowest SQNR."
    shown, labelled = [name for name in names if name in kept], {}
    for name, short in zip(shown, charts.short_names(shown), strict=True):
        own = [arrays[f"{name}/{part}"] for part in charts.PARTS]
        known = f", {noise[name]:.1f} dB" if np.isfinite(noise.get(name, np.nan)) else ""
        labelled[f"{short}: {len(np.unique(own[-1]))} levels{known}"] = own
    return charts.histograms(title, record.name, labelled, note)


def _classes(record: Record, arrays: Arrays) -> list[str]:
    """The classes' names; numbers where the record has none."""
    count, names = len(arrays.get("confusion", ())), record.summary.get("classes")
    if isinstance(names, list) and len(names) == count:
        return list(map(str, names))
    return list(map(str, range(count)))


def _confusion(arrays: Arrays, names: list[str]) -> Drawing | None:
    matrix = arrays.get("confusion")
    if matrix is None or matrix.ndim != 2 or not matrix.sum():
        return None
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


def _images(arrays: Arrays, names: list[str]) -> list[tuple[str, str]]:
    """(address, caption) of images that float and integers classify differently."""
    images, labels = arrays.get("disagreeing"), arrays.get("disagreeing_labels")
    if images is None or labels is None or images.ndim != 4 or labels.max(initial=0) >= len(names):
        return []
    return [
        (_address(image.astype(np.uint8)), "{}: float {}, integer {}".format(*words))
        for image, row in zip(images[:IMAGES], labels[:IMAGES], strict=True)
        for words in [[names[int(k)] for k in row]]
    ]


def _address(image: NDArray[np.uint8]) -> str:
    """A `data:` address with the image, uint8 [C, H, W], one channel or three."""
    pixels = image[0] if len(image) == 1 else image[:3].transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


SAME = ["name", "results_dir", "data_dir", "force", "resume"]
"""Choices that say nothing about a run."""

OVERLAID = ["sqnr_db", "weight_bits"]
"""Of `PANELS`, those that an overlay has."""


def comparisons(records: Sequence[Record], bins: Mapping[str, int]) -> dict[str, Any]:
    """The declarations and tables of an overlay; bins: each run's histograms among the charts."""
    layers = all_layers(records).reindex(columns=["run", "layer", *OVERLAID])
    short = [charts.short_names(own.layer) for _, own in layers.groupby("run", sort=False)]
    layers["layer"] = [name for names in short for name in names]
    return {
        "declared": {name: declaration(name) for name in ("training", "histograms")}
        | {"layers": charts.panels({name: charts.PANELS[name] for name in OVERLAID})},
        "hues": RUNS,
        "bins": bins,
        "epochs": charts.epoch_table(histories(records)),
        "layers": layers,
        "config": _varying(records),
    }


def _varying(records: Sequence[Record]) -> pd.DataFrame:
    """The choices in which runs differ, a row a run."""
    texts = [{key: str(v) for key, v in flat(record.choices).items()} for record in records]
    table = pd.DataFrame(texts).drop(columns=SAME, errors="ignore").fillna("")
    varying = table.loc[:, table.nunique() > 1].sort_index(axis=1)
    return varying.assign(run=[record.name for record in records])
