"""A finished record in an experiment tracker's own types: W&B's, or scalars for any other."""

import logging
from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger, WandbLogger

log = logging.getLogger(__name__)
CURVES = ("top1", "train_loss", "val_loss", "quantized_share", "blend", "lr")
BARS = ("weight_bits", "sqnr_db", "sensitivity")
SHOWN = 16

RowList = list[dict[str, Any]]


class Guarded(Logger):
    """A logger that never costs a run: at its first error it says so in one line and is silent."""

    def __init__(self, inner: Logger) -> None:
        super().__init__()
        self.inner, self.alive = inner, True

    @property
    def name(self) -> str | None:
        return self.inner.name

    @property
    def version(self) -> int | str | None:
        return self.inner.version

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.attempt(lambda: self.inner.log_metrics(metrics, step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.attempt(lambda: self.inner.log_hyperparams(params, *args, **kwargs))

    def save(self) -> None:
        self.attempt(self.inner.save)

    def finalize(self, status: str) -> None:
        self.attempt(lambda: self.inner.finalize(status))

    def close(self) -> None:
        """End the tracker's own run: one that stays open would swallow the next."""

        def end() -> None:
            experiment = getattr(self.inner, "experiment", None)
            (getattr(experiment, "finish", None) or experiment.close)()  # type: ignore[union-attr]

        self.attempt(end)

    def attempt(self, call: Callable[[], Any]) -> None:
        """Make a call, unless one has failed before."""
        if not self.alive:
            return
        try:
            call()
        except Exception as error:  # whatever a tracker raises, the record is on disk
            self.alive = False
            reason = (str(error) or type(error).__name__).splitlines()[0]
            log.warning("the logger has failed and is left alone: %s", reason)


@singledispatch
def log_record(
    logger: Logger,
    config: dict[str, Any],
    summary: dict[str, Any],
    history: RowList,
    layers: RowList,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Send a record to a tracker: here the choices and the summary's numbers, as scalars.

    config, summary   as in `config.yaml` and `summary.json`
    history, layers   rows of `history.csv` and `layers.csv`
    arrays            of `histograms.npz`
    """
    logger.log_hyperparams(config)
    logger.log_metrics(scalars(summary), step=len(history))


@log_record.register
def _(logger: Guarded, *record: Any) -> None:
    logger.attempt(lambda: log_record(logger.inner, *record))


@log_record.register
def _(
    logger: WandbLogger,
    config: dict[str, Any],
    summary: dict[str, Any],
    history: RowList,
    layers: RowList,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Histograms, tables, line plots, bars, the confusion matrix and images, as W&B's own types."""
    import wandb

    run, names = logger.experiment, summary["classes"]
    run.config.update({"choices": config})
    run.summary.update(scalars(summary))
    found: dict[str, Any] = {}
    for key in arrays:
        layer, _, part = key.rpartition("/")
        if part.endswith("_counts"):
            kind = part.removesuffix("_counts")
            edges = arrays[f"{layer}/{kind}_edges"]
            histogram = wandb.Histogram(np_histogram=(arrays[key], edges))
            found[f"{kind}s/{layer}"] = histogram
    tables = {"history": _table(history), "layers": _table(layers), "levels": _levels(arrays)}
    found |= {f"tables/{name}": table for name, table in tables.items() if table.data}
    found |= {
        f"curves/{name}": wandb.plot.line(_table(history), "epoch", name, title=name)
        for name in CURVES
        if history
    }
    found |= {
        f"bars/{name}": wandb.plot.bar(_table(_known(layers, name)), "layer", name, title=name)
        for name in BARS
        if _known(layers, name)
    }
    if "confusion" in arrays:
        true, predicted = _pairs(arrays["confusion"])
        found["confusion"] = wandb.plot.confusion_matrix(
            y_true=true, preds=predicted, class_names=names
        )
    if len(arrays.get("disagreeing", ())):
        found["disagreeing"] = _images(arrays, names)
    run.log(found)


def scalars(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers in a nested mapping, by their path.

    >>> scalars({"top1": 92.5, "integer": {"images": 10, "engines": ["onnx"]}, "note": ""})
    {'top1': 92.5, 'integer/images': 10}
    """
    found: dict[str, float] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            found |= scalars(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{key}"] = value
    return found


def _table(rows: RowList) -> Any:
    """A W&B table with the union of the rows' columns; what a row lacks is empty."""
    import wandb

    columns: list[Any] = list(dict.fromkeys(key for row in rows for key in row))
    return wandb.Table(columns=columns, data=[[row.get(key) for key in columns] for row in rows])


def _known(layers: RowList, name: str) -> RowList:
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
    import wandb

    shown = zip(arrays["disagreeing"][:SHOWN], arrays["disagreeing_labels"], strict=False)
    return [
        wandb.Image(
            image.transpose(1, 2, 0).squeeze(),
            caption="{}: float {}, integer {}".format(*(names[int(k)] for k in labels)),
        )
        for image, labels in shown
    ]
