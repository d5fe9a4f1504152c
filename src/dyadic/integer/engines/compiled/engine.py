"""The compiled engine: a program as steps of C, on the best instructions that the processor has."""

import os

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.choose import Prices
from dyadic.integer.engines.compiled.opened import Opened
from dyadic.integer.engines.compiled.prices import prices_of
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
    prices   what the parts of layers cost, by which algorithms are chosen; this machine's, if None

    Raises: CompilerNotFound where there is no C compiler that works; ProgramError for a program
    that cannot be proven exact; UserError for a path that this processor does not have.
    """

    def __init__(
        self,
        program: Program | Proof,
        threads: int | None = None,
        path: str | None = None,
        prices: Prices | None = None,
    ) -> None:
        self.proof = prove(program)
        self.program = self.proof.program
        self.threads = threads or _processors()
        self.path = path or available_paths()[0]
        if self.path not in available_paths():
            have = ", ".join(available_paths())
            raise UserError(f"path={self.path} is not available here; this processor has {have}")
        prices = prices_of(self.path) if prices is None else prices
        self._planned = Opened(self.proof, self.path, prices=prices)

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
        planned = Opened(self.proof, self.path, traced=True)
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

    def _batches(self, planned: Opened, images: np.ndarray, names: list[str]) -> list[np.ndarray]:
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
