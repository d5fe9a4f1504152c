"""What a training says of itself: in which phase it is, and how long it will all take."""

import logging
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

from dyadic.training.callbacks import History, phase_at
from dyadic.training.module import Training

log = logging.getLogger(__name__)
QUIET_SECONDS = 30.0  # the longest that a training's log says nothing


class TimeLeft(pl.Callback):
    """What is left of a training, from the steps done in this process and those to do."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started, self.first = time.monotonic(), trainer.global_step

    def __call__(self, trainer: pl.Trainer, module: Training) -> str:
        done = trainer.global_step - self.first
        if not done or trainer.max_epochs is None:
            return ""
        left = trainer.max_epochs * module.steps_per_epoch - trainer.global_step
        return minutes((time.monotonic() - self.started) * left / done) + " left"


def minutes(seconds: float) -> str:
    """A duration for people.

    >>> minutes(7.2), minutes(131)
    ('0:07', '2:11')
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class PhaseProgress(RichProgressBar):
    """A progress bar that says what is trained, in which phase, and how long it will all take."""

    def __init__(self, title: str, left: TimeLeft) -> None:
        super().__init__(leave=True)
        self.title, self.left = title, left

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        assert isinstance(pl_module, Training)
        found = super().get_metrics(trainer, pl_module)
        return found | {"all": self.left(trainer, pl_module)}

    def _get_train_description(self, current_epoch: int) -> str:
        module = self.trainer.lightning_module
        assert isinstance(module, Training)
        phase = module.phases[phase_at(module.phases, current_epoch)[0]].name
        return f"{self.title}: {phase}, epoch {current_epoch + 1}/{self.trainer.max_epochs}"


class EpochLines(pl.Callback):
    """A log line every epoch, and every half minute, where there is no terminal for a bar."""

    def __init__(self, title: str, history: History, left: TimeLeft) -> None:
        self.title, self.history, self.left, self.latest = title, history, left, 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        assert isinstance(pl_module, Training)
        quiet = time.monotonic() - max(self.latest, self.left.started)
        if quiet < QUIET_SECONDS or not trainer.is_global_zero:
            return
        self.latest = time.monotonic()
        share = 100 * (batch_idx + 1) / pl_module.steps_per_epoch
        epoch, left = trainer.current_epoch + 1, self.left(trainer, pl_module)
        log.info("%s: epoch %d/%s, %.0f %%, %s",
                 self.title, epoch, trainer.max_epochs, share, left)  # fmt: skip

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Training)
        row, self.latest = self.history.rows[-1], time.monotonic()
        log.info(
            "%s: %s, epoch %d/%s, loss %.4f, top-1 %.2f %%, %.0f s, %s",
            self.title, row["phase"], row["epoch"] + 1, trainer.max_epochs,
            row["train_loss"], row["top1"], row["seconds"], self.left(trainer, pl_module),
        )  # fmt: skip
