"""On what hardware a run computes, and how it uses a processor."""

import ctypes
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from dyadic.errors import UserError
from dyadic.integer.engines.compiled.sets import features

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # of glibc's malloc.h


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
            where = {"accelerator": self.accelerator, "devices": self.devices}
            Fabric(**where, strategy=self.strategy).launch()
        # Lightning has shared the cores out by its own rule.
        torch.set_num_threads(self.resolved_threads)

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
    return "avx512_bf16" in features()
