"""The compiled engine: a program as steps of C, on the best instructions that the processor has."""

import ctypes
import os
from ctypes import POINTER, c_int32, c_int64, c_uint8
from functools import cache
from threading import Lock
from weakref import finalize

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.build import library
from dyadic.integer.engines.compiled.plan import Planned
from dyadic.integer.engines.compiled.sets import available_paths
from dyadic.integer.engines.images import check_images
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Linear, Program

BATCH = 8  # images that are in the arena together


class CompiledEngine:
    """Runs a program in C; the same bits as every other engine.

    program  proven by `dyadic.integer.program.bounds.prove`
    threads  threads of one run; all the process may use, if None
    path     an instruction set of `available_paths()`; the best there is, if None

    Raises: CompilerNotFound where there is no C compiler that works; ProgramError for a program
    that cannot be proven exact; UserError for a path that this processor does not have.
    """

    name = "compiled"

    def __init__(
        self, program: Program | Proof, threads: int | None = None, path: str | None = None
    ) -> None:
        self.proof = prove(program)
        self.program = self.proof.program
        self.threads = threads or _processors()
        self.path = path or available_paths()[0]
        if self.path not in available_paths():
            have = ", ".join(available_paths())
            raise UserError(f"path={self.path} is not available here; this processor has {have}")
        self._planned = _Planned(self.program, self.proof, self.path, traced=False)

    @property
    def algorithms(self) -> dict[str, str]:
        """How each layer is computed: "direct", "winograd F(2,3)", "depthwise", "plain", ..."""
        choices = self._planned.steps.choices
        layers = (op.name for op in self.program.operations if isinstance(op, Linear))
        return {n: choices[n].algorithm if n in choices else "plain" for n in layers}

    def run(self, images: np.ndarray) -> np.ndarray:
        """Integer logits, int32 [N, classes], of uint8 images [N, C, H, W]."""
        check_images(images, self.program)
        return self._batches(self._planned, images, [self.program.operations[-1].name])[0]

    def trace(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every tensor by name, "input" included, int32 [N, C, H, W] or [N, F].

        Slower than `run`: no operations are fused, no memory is shared.
        """
        check_images(images, self.program)
        names = [operation.name for operation in self.program.operations]
        planned = _Planned(self.program, self.proof, self.path, traced=True)
        tensors = self._batches(planned, images, names)
        return {"input": images, **dict(zip(names, tensors, strict=True))}

    def profile(self, images: np.ndarray) -> list[tuple[str, str, int]]:
        """Name, kind and nanoseconds of each step of one run; of at most `BATCH` images."""
        check_images(images, self.program)
        with self._planned.lock:
            spent = self._planned.profile(np.ascontiguousarray(images[:BATCH]), self.threads)
        names = list(self._planned.steps.index)
        steps = self._planned.steps.steps
        return [
            (names[step.target], binding.STEPS[step.kind], int(time))
            for step, time in zip(steps, spent, strict=True)
        ]

    def _batches(
        self, planned: "_Planned", images: np.ndarray, names: list[str]
    ) -> list[np.ndarray]:
        """The named tensors, of all images; one run at a time, for there is one arena."""
        images = np.ascontiguousarray(images)
        made = [np.empty((len(images), *self.proof.shapes[n]), np.int32) for n in names]
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            with planned.lock:
                planned.run(batch, self.threads)
                for name, tensor in zip(names, made, strict=True):
                    planned.read(name, tensor[start : start + len(batch)])
        return made


def _processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _bound(path: str) -> ctypes.CDLL:
    return binding.bind(str(library(path)))


class _Planned(Planned):
    """A plan in memory, and the engine that runs it; opened for as many images as come."""

    def __init__(self, program: Program, proof: Proof, path: str, traced: bool) -> None:
        super().__init__(program, proof, path, traced)
        self.library = _bound(path)
        self.handle, self.capacity, self.lock = None, 0, Lock()

    def run(self, images: np.ndarray, threads: int) -> None:
        """Runs the batch; its tensors stay until the next run."""
        if len(images) > self.capacity:
            self._open(len(images), threads)
        pixels = images.ctypes.data_as(POINTER(c_uint8))
        self.library.dy_run(self.handle, pixels, len(images))

    def profile(self, images: np.ndarray, threads: int) -> np.ndarray:
        """Nanoseconds of every step of a run, int64."""
        self.run(images, threads)
        spent = np.zeros(self.plan.step_count, np.int64)
        pixels = images.ctypes.data_as(POINTER(c_uint8))
        into = spent.ctypes.data_as(POINTER(c_int64))
        self.library.dy_profile(self.handle, pixels, len(images), into)
        return spent

    def read(self, name: str, into: np.ndarray) -> None:
        """A tensor of the last run."""
        target = into.ctypes.data_as(POINTER(c_int32))
        self.library.dy_read(self.handle, self.steps.index[name], target)

    def _open(self, images: int, threads: int) -> None:
        if self.handle is not None:
            self._close()
        self.capacity = 0
        self.handle = self.library.dy_open(ctypes.byref(self.plan), images, threads)
        if self.handle is None:
            raise MemoryError(f"no memory for the activations of {images} images")
        self._close = finalize(self, self.library.dy_close, self.handle)
        self.capacity = images
