"""A plan in memory, and the engine of C that runs it."""

import ctypes
from ctypes import POINTER, c_int32, c_int64, c_uint8
from functools import cache
from threading import Lock
from weakref import finalize

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.build import library
from dyadic.integer.engines.compiled.choose import Prices
from dyadic.integer.engines.compiled.plan import Planned
from dyadic.integer.program.bounds import Proof


@cache
def bound(path: str) -> ctypes.CDLL:
    """The instruction set's library, loaded."""
    return binding.bind(str(library(path)))


class Opened(Planned):
    """A plan in memory, and the engine that runs it; opened for as many images as come."""

    def __init__(
        self, proof: Proof, path: str, traced: bool = False, prices: Prices | None = None
    ) -> None:
        super().__init__(proof, path, traced, prices)
        self.library = bound(path)
        self.handle, self.capacity, self.lock = None, 0, Lock()

    def run(self, images: np.ndarray, threads: int) -> None:
        """Runs the batch; its tensors stay until the next run."""
        self._make_room(len(images), threads)
        pixels = images.ctypes.data_as(POINTER(c_uint8))
        self.library.dy_run(self.handle, pixels, len(images))

    def profile(self, images: np.ndarray, threads: int) -> np.ndarray:
        """Nanoseconds of every step of a run, int64."""
        self._make_room(len(images), threads)
        spent = np.zeros(self.plan.step_count, np.int64)
        pixels = images.ctypes.data_as(POINTER(c_uint8))
        into = spent.ctypes.data_as(POINTER(c_int64))
        self.library.dy_profile(self.handle, pixels, len(images), into)
        return spent

    def read(self, name: str, into: np.ndarray) -> None:
        """A tensor of the last run."""
        target = into.ctypes.data_as(POINTER(c_int32))
        self.library.dy_read(self.handle, self.steps.index[name], target)

    def _make_room(self, images: int, threads: int) -> None:
        if images <= self.capacity:
            return
        if self.handle is not None:
            self._close()
        self.capacity = 0
        self.handle = self.library.dy_open(ctypes.byref(self.plan), images, threads)
        if self.handle is None:
            raise MemoryError(f"no memory for the activations of {images} images")
        self._close = finalize(self, self.library.dy_close, self.handle)
        self.capacity = images
