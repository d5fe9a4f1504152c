"""A finished record in an experiment tracker's own types: W&B's, or scalars for any other."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from pytorch_lightning.loggers import Logger, WandbLogger

from dyadic.errors import first_line

log = logging.getLogger(__name__)
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
            log.warning("the logger has failed and is left alone: %s", first_line(error))


@dataclass(frozen=True)
class Results:
    """A finished record, as a tracker takes it.

    config, summary   as in `config.yaml` and `summary.json`
    history, layers   rows of `history.csv` and `layers.csv`
    arrays            of `histograms.npz`
    """

    config: dict[str, Any]
    summary: dict[str, Any]
    history: RowList
    layers: RowList
    arrays: Mapping[str, np.ndarray]


@singledispatch
def log_record(logger: Logger, record: Results) -> None:
    """Send a record to a tracker: here the choices and the summary's numbers, as scalars."""
    logger.log_hyperparams(record.config)
    logger.log_metrics(scalars(record.summary), step=len(record.history))


@log_record.register
def _(logger: Guarded, record: Results) -> None:
    logger.attempt(lambda: log_record(logger.inner, record))


@log_record.register
def _(logger: WandbLogger, record: Results) -> None:
    """Histograms, tables, line plots, bars, the confusion matrix and images, as W&B's own types."""
    run = logger.experiment
    run.config.update({"choices": record.config})
    run.summary.update(scalars(record.summary))
    from dyadic.run import wandb_media

    run.log(wandb_media.of(record))


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
