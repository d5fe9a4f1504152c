"""A finished record in W&B's own types: histograms, tables, plots, a confusion matrix, images."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import wandb

from dyadic.run.tracker import Results, RowList

CURVES = ("top1", "train_loss", "val_loss", "quantized_share", "blend", "lr")
BARS = ("weight_bits", "sqnr_db", "sensitivity")
IMAGES_SHOWN = 16  # images at most


def of(record: Results) -> dict[str, Any]:
    """What W&B shows of a record, by its name there."""
    return _histograms(record.arrays) | _tables(record) | _predictions(record)


def _histograms(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    found = {}
    for key, counts in arrays.items():
        if key.endswith("_counts"):
            layer, _, kind = key.removesuffix("_counts").rpartition("/")
            pair = (counts, arrays[f"{layer}/{kind}_edges"])
            found[f"{kind}s/{layer}"] = wandb.Histogram(np_histogram=pair)
    return found


def _tables(record: Results) -> dict[str, Any]:
    """Tables, and the plots of their columns."""
    tables = {
        "history": _table(record.history),
        "layers": _table(record.layers),
        "levels": _levels(record.arrays),
    }
    found = {f"tables/{name}": table for name, table in tables.items() if table.data}
    for name in CURVES if record.history else ():
        curve = wandb.plot.line(_table(record.history), "epoch", name, title=name)
        found[f"curves/{name}"] = curve
    for name in BARS:
        if values := _finite(record.layers, name):
            found[f"bars/{name}"] = wandb.plot.bar(_table(values), "layer", name, title=name)
    return found


def _predictions(record: Results) -> dict[str, Any]:
    """The confusion matrix, and images that the integers decide otherwise."""
    arrays, names = record.arrays, record.summary["classes"]
    found: dict[str, Any] = {}
    if "confusion" in arrays:
        true, predicted = _pairs(arrays["confusion"])
        found["confusion"] = wandb.plot.confusion_matrix(
            y_true=true, preds=predicted, class_names=names
        )
    if len(arrays.get("disagreeing", ())):
        found["disagreeing"] = _images(arrays, names)
    return found


def _table(rows: RowList) -> Any:
    """A W&B table with the union of the rows' columns; what a row lacks is empty."""
    columns: list[Any] = list(dict.fromkeys(key for row in rows for key in row))
    return wandb.Table(columns=columns, data=[[row.get(key) for key in columns] for row in rows])


def _finite(layers: RowList, name: str) -> RowList:
    """Layer and value, where the value is a finite number."""
    pairs = [(row["layer"], row.get(name)) for row in layers]
    return [{"layer": layer, name: v} for layer, v in pairs if v is not None and np.isfinite(v)]


def _levels(arrays: Mapping[str, np.ndarray]) -> Any:
    rows = [
        {"layer": key.removesuffix("/levels"), "level": float(level)}
        for key, levels in arrays.items()
        if key.endswith("/levels")
        for level in np.unique(levels)
    ]
    return _table(rows)


def _pairs(confusion: np.ndarray) -> tuple[list[int], list[int]]:
    """The true and the predicted class of every image, from a confusion matrix."""
    true, predicted = np.indices(confusion.shape)
    counts = confusion.ravel()
    return np.repeat(true.ravel(), counts).tolist(), np.repeat(predicted.ravel(), counts).tolist()


def _images(arrays: Mapping[str, np.ndarray], names: list[str]) -> list[Any]:
    """Images that the float network and the integers classify differently, with all three names."""
    shown = zip(arrays["disagreeing"][:IMAGES_SHOWN], arrays["disagreeing_labels"], strict=False)
    return [
        wandb.Image(
            image.transpose(1, 2, 0).squeeze(),
            caption="{}: float {}, integer {}".format(*(names[int(k)] for k in labels)),
        )
        for image, labels in shown
    ]
