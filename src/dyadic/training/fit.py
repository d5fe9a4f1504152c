"""Running Lightning: resumable at epochs, on the hardware of a run."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import Logger

from dyadic.record.schema import HISTORY
from dyadic.schedules.schedule import Schedule
from dyadic.training.callbacks import History, RandomState, ScheduleCallback
from dyadic.training.checkpoint import Checkpoints, resumable
from dyadic.training.hardware import Hardware
from dyadic.training.module import Training
from dyadic.training.processes import from_first, is_first
from dyadic.training.progress import EpochLines, PhaseProgress, TimeLeft

log = logging.getLogger(__name__)


def fit(
    module: Training,
    directory: Path,
    hardware: Hardware,
    title: str,
    schedule: Schedule | None = None,
    images: torch.Tensor | None = None,
    loggers: Sequence[Logger] = (),
) -> list[dict]:
    """Train through all phases, continuing from `directory/checkpoint/last.ckpt` if it is there.

    A checkpoint is written at the end of every epoch. Returns the rows of `history.csv`, which the
    first of several processes keeps.
    """
    history, left, bar = History(directory / HISTORY, schedule), TimeLeft(), sys.stderr.isatty()
    callbacks: list[pl.Callback] = [history, RandomState(), left]
    if schedule is not None and images is not None:
        callbacks.append(ScheduleCallback(schedule, images))
    callbacks += [
        PhaseProgress(title, left) if bar else EpochLines(title, history, left),
        ModelCheckpoint(directory / "checkpoint", filename="last", save_top_k=1,
                        save_on_train_epoch_end=True, enable_version_counter=False),
    ]  # fmt: skip
    trainer = pl.Trainer(
        **_placed(hardware, schedule),
        max_epochs=sum(phase.epochs for phase in module.phases),
        limit_train_batches=module.steps_per_epoch,
        log_every_n_steps=min(50, module.steps_per_epoch),
        callbacks=callbacks, logger=list(loggers) or False, enable_progress_bar=bar,
        enable_model_summary=False, num_sanity_val_steps=0, reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False, default_root_dir=directory,
    )  # fmt: skip
    last = directory / "checkpoint" / "last.ckpt"
    last = from_first(resumable(last) if is_first() else None)
    if last is not None:
        log.info("%s: resuming from %s", title, last)
    trainer.fit(module, ckpt_path=last, weights_only=True)
    return history.rows


def _placed(hardware: Hardware, schedule: Schedule | None) -> dict[str, Any]:
    """The trainer's arguments that say where and how it computes."""
    strategy, plugins = hardware.strategy, list[Any]([Checkpoints()])
    if schedule is not None and hardware.devices > 1 and strategy in ("auto", "ddp"):
        strategy = "ddp_find_unused_parameters_true"  # a schedule may leave layers untrained
    if hardware.devices == 1:  # or what a queue left in the environment would be believed
        plugins.append(LightningEnvironment())
    where = {"accelerator": hardware.accelerator, "devices": hardware.devices}
    how = {"strategy": strategy, "precision": hardware.resolved_precision, "plugins": plugins}
    return where | how
