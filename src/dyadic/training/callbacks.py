"""Lightning callbacks: the schedule's hooks, the training history, and random-number states."""

import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from dyadic.network.quantized import QuantizedNetwork
from dyadic.record.files import write_rows
from dyadic.record.schema import HISTORY_COLUMNS
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.training.evaluate import evaluate
from dyadic.training.finite import refuse_infinite
from dyadic.training.module import Training
from dyadic.training.processes import from_first


def phase_at(phases: list[Phase], epoch: int) -> tuple[int, bool]:
    """Index of the phase of an epoch, and whether it is the phase's first epoch."""
    start = 0
    for index, phase in enumerate(phases):
        if epoch < start + phase.epochs:
            return index, epoch == start
        start += phase.epochs
    raise IndexError(f"epoch {epoch} is after the last phase")


class ScheduleCallback(pl.Callback):
    """Calls a schedule's hooks (`dyadic.schedules.schedule`) at the right moments."""

    def __init__(self, schedule: Schedule, images: torch.Tensor) -> None:
        self.schedule, self.images = schedule, images

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        assert isinstance(pl_module.network, QuantizedNetwork)
        index, first = phase_at(pl_module.phases, trainer.current_epoch)
        if first:
            if index > 0:  # a resumed run starts here, without the phase before
                self.schedule.arrange(pl_module.network, index - 1)
            self.schedule.enter(pl_module.network, index, self.images.to(pl_module.device))
            if pl_module.phases[index].restart:
                for optimizer in trainer.optimizers:
                    optimizer.state.clear()
        pl_module.network.train()
        self.schedule.arrange(pl_module.network, index)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Training)
        assert isinstance(pl_module.network, QuantizedNetwork)
        epoch = trainer.current_epoch + batch_idx / pl_module.steps_per_epoch
        self.schedule.step(pl_module.network, epoch)


class History(pl.Callback):
    """Scores the network after each epoch and keeps `history.csv`, one row an epoch.

    The images are the data set's watched ones: the test set is looked at once, after training.

    On several devices the first process alone does, with its own batch-norm statistics.

    The rows travel in the checkpoint, so a resumed run continues the file where the checkpoint is.
    """

    def __init__(self, path: Path, schedule: Schedule | None) -> None:
        self.path, self.schedule = path, schedule
        self.rows: list[dict[str, Any]] = []
        self.started, self.rate = 0.0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # At the epoch's end it is already that of the next epoch.
        self.rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        position = self._position(trainer, pl_module)
        if self.schedule is not None and isinstance(pl_module.network, QuantizedNetwork):
            self.schedule.measure(pl_module.network)
        row = self._score(trainer, pl_module, position) if trainer.is_global_zero else {}
        loss = from_first(row.get("val_loss", 0.0))
        refuse_infinite(loss, f"epoch {trainer.current_epoch + 1}, on images that are not trained")

    def _score(
        self, trainer: pl.Trainer, module: Training, position: dict[str, Any]
    ) -> dict[str, Any]:
        score = evaluate(module.network, module.data.watched_batches())
        row = position | {
            "val_loss": score.loss,
            "top1": score.top1,
            "top5": score.top5,
            "seconds": round(time.monotonic() - self.started, 2),
        }
        self.rows.append(row)
        write_rows(self.path, HISTORY_COLUMNS, self.rows)
        numbers = {k: v for k, v in row.items() if isinstance(v, float)}
        for logger in trainer.loggers:
            logger.log_metrics(numbers, step=trainer.global_step)
        return row

    def _position(self, trainer: pl.Trainer, module: Training) -> dict[str, Any]:
        index, first = phase_at(module.phases, trainer.current_epoch)
        network = module.network
        # Not the epoch's end: that is where the next blend begins.
        last_step = trainer.current_epoch + 1 - 1 / module.steps_per_epoch
        return {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "phase": module.phases[index].name,
            "event": module.phases[index].event if first else "",
            "quantized_share": network.quantized_share()
            if isinstance(network, QuantizedNetwork)
            else 0.0,
            "blend": self.schedule.blend(last_step) if self.schedule else 0.0,
            "lr": self.rate,
            # Every process asks: the mean over devices waits for all of them.
            "train_loss": float(trainer.callback_metrics["train_loss"]),
        }

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])


class RandomState(pl.Callback):
    """Keeps torch's, Python's and NumPy's generators in the checkpoint.

    Restored in `load_state_dict`: any later, and the data iterator has already drawn from them.
    """

    def state_dict(self) -> dict[str, Any]:
        numpy_state: Any = np.random.get_state()  # noqa: NPY002 - what other libraries draw from
        version, internal, gauss = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "python": [version, list(internal), gauss],
            "numpy": [numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        torch.set_rng_state(state_dict["torch"])
        if state_dict["cuda"]:
            torch.cuda.set_rng_state_all(state_dict["cuda"])
        version, internal, gauss = state_dict["python"]
        random.setstate((version, tuple(internal), gauss))
        name, keys, *rest = state_dict["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
