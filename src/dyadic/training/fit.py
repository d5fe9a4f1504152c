"""Running Lightning: on what hardware, resumable at epochs, with progress that names itself."""

import ctypes
import logging
import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import Logger

from dyadic.errors import UserError
from dyadic.record.schema import HISTORY
from dyadic.schedules.schedule import Schedule
from dyadic.training.callbacks import History, RandomState, ScheduleCallback, phase_at
from dyadic.training.checkpoint import Checkpoints, resumable
from dyadic.training.module import Training
from dyadic.training.processes import is_first, told_by_first

log = logging.getLogger(__name__)
TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of glibc's malloc.h
QUIET_SECONDS = 30.0  # the longest that a training's log says nothing


@dataclass(frozen=True)
class Hardware:
    """Where and how to compute (`conf/trainer`).

    accelerator, devices, strategy as Lightning's Trainer takes them
    precision   "32-true", "bf16-mixed", or "auto": bf16-mixed where the processor has it
    threads     CPU threads; part of a number, since one and two threads round differently; "auto":
                the physical cores that this process may use
    """

    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: str = "auto"
    threads: int | str = "auto"

    def __post_init__(self) -> None:
        if self.threads != "auto" and not (isinstance(self.threads, int) and self.threads >= 1):
            raise UserError(f"threads={self.threads}; use auto, or at least 1")
        if self.precision not in ("auto", "32-true", "bf16-mixed"):
            raise UserError(f"precision={self.precision}; use auto, 32-true or bf16-mixed")

    def launch(self) -> None:
        """Start and connect the processes of a run on several devices; each starts from the top.

        Called before anything is decided, so that all of them decide alike.
        """
        if self.devices > 1:
            Fabric(
                accelerator=self.accelerator, devices=self.devices, strategy=self.strategy
            ).launch()
        torch.set_num_threads(
            self.resolved_threads
        )  # Lightning has shared the cores out by its own rule

    @property
    def resolved_precision(self) -> str:
        """The precision that `auto` stands for on this machine."""
        if self.precision != "auto":
            return self.precision
        return "bf16-mixed" if _has_bf16() else "32-true"

    @property
    def resolved_threads(self) -> int:
        """The number of threads that `auto` stands for on this machine."""
        return physical_cores() if isinstance(self.threads, str) else self.threads

    @property
    def device(self) -> torch.device:
        """The device that evaluation and calibration use."""
        wanted = self.accelerator in ("auto", "gpu", "cuda")
        return torch.device("cuda" if wanted and torch.cuda.is_available() else "cpu")

    def describe(self) -> str:
        """The hardware in a few words, for tables."""
        name = f"CPU {torch.backends.cpu.get_cpu_capability()}, {self.resolved_threads} threads"
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name()
        return name if self.devices == 1 else f"{self.devices} x {name}"


def physical_cores() -> int:
    """The cores that this process may use; two threads of one core count once."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cpus = Path("/sys/devices/system/cpu")
    siblings = [cpus / f"cpu{n}/topology/thread_siblings_list" for n in os.sched_getaffinity(0)]
    return len({path.read_text() if path.exists() else path for path in siblings})


def keep_memory() -> None:
    """Let glibc keep freed memory: large temporaries are otherwise mapped and unmapped every call.

    On a processor the page faults of eager PyTorch cost up to half of a forward pass. Where the C
    library is another one, nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows has no such handle, macOS no mallopt
        return
    if platform.libc_ver()[0] == "glibc":
        mallopt(MMAP_MAX, 0)
        mallopt(TRIM_THRESHOLD, 2**31 - 1)


def _has_bf16() -> bool:
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    info = Path("/proc/cpuinfo")
    return info.exists() and "avx512_bf16" in info.read_text()


class TimeLeft:
    """What is left of a training, from the steps done and those to do."""

    def __init__(self) -> None:
        self.started, self.first = 0.0, 0

    def start(self, trainer: pl.Trainer) -> None:
        """The first of this process's steps, which in a resumed run is not that of the run."""
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

    def __init__(self, title: str) -> None:
        super().__init__(leave=True)
        self.title, self.left = title, TimeLeft()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.left.start(trainer)

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

    def __init__(self, title: str, history: History) -> None:
        self.title, self.history, self.left, self.said = title, history, TimeLeft(), 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.left.start(trainer)
        self.said = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any,
        batch_idx: int,
    ) -> None:  # fmt: skip
        assert isinstance(pl_module, Training)
        if time.monotonic() - self.said < QUIET_SECONDS or not trainer.is_global_zero:
            return
        self.said = time.monotonic()
        share = 100 * (batch_idx + 1) / pl_module.steps_per_epoch
        epoch, left = trainer.current_epoch + 1, self.left(trainer, pl_module)
        log.info("%s: epoch %d/%s, %.0f %%, %s",
                 self.title, epoch, trainer.max_epochs, share, left)  # fmt: skip

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        assert isinstance(pl_module, Training)
        row, self.said = self.history.rows[-1], time.monotonic()
        log.info(
            "%s: %s, epoch %d/%s, loss %.4f, top-1 %.2f %%, %.0f s, %s",
            self.title, row["phase"], row["epoch"] + 1, trainer.max_epochs,
            row["train_loss"], row["top1"], row["seconds"], self.left(trainer, pl_module),
        )  # fmt: skip


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
    history = History(directory / HISTORY, schedule)
    callbacks: list[pl.Callback] = [history, RandomState()]
    if schedule is not None and images is not None:
        callbacks.append(ScheduleCallback(schedule, images))
    bar = sys.stderr.isatty()
    callbacks.append(PhaseProgress(title) if bar else EpochLines(title, history))
    callbacks.append(
        ModelCheckpoint(directory / "checkpoint", filename="last", save_top_k=1,
                        save_on_train_epoch_end=True, enable_version_counter=False)
    )  # fmt: skip
    strategy = hardware.strategy
    if schedule is not None and hardware.devices > 1 and strategy in ("auto", "ddp"):
        strategy = "ddp_find_unused_parameters_true"  # a schedule may leave layers untrained
    plugins: list[Any] = [Checkpoints()]
    if hardware.devices == 1:  # or what a queue left in the environment would be believed
        plugins.append(LightningEnvironment())
    trainer = pl.Trainer(
        accelerator=hardware.accelerator, devices=hardware.devices, strategy=strategy,
        precision=hardware.resolved_precision,  # type: ignore[arg-type]
        max_epochs=sum(phase.epochs for phase in module.phases),
        limit_train_batches=module.steps_per_epoch,
        log_every_n_steps=min(50, module.steps_per_epoch),
        callbacks=callbacks, logger=list(loggers) or False, enable_progress_bar=bar,
        enable_model_summary=False, num_sanity_val_steps=0, reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False, default_root_dir=directory, plugins=plugins,
    )  # fmt: skip
    last = directory / "checkpoint" / "last.ckpt"
    last = told_by_first(resumable(last) if is_first() else None)
    if last is not None:
        log.info("%s: resuming from %s", title, last)
    trainer.fit(module, ckpt_path=last, weights_only=True)
    return history.rows
