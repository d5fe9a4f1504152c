"""Layers as matrix products in the C engine's structures, and the arrays that those point to."""

from ctypes import Structure

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.choose import BLOCK, Choice
from dyadic.integer.engines.compiled.gemm import Gemm, pack_gemm
from dyadic.integer.engines.compiled.lanes import Lanes, spread
from dyadic.integer.engines.compiled.layout import LINE, Slot
from dyadic.integer.engines.compiled.patches import pack_patches
from dyadic.integer.engines.compiled.sets import InstructionSet
from dyadic.integer.program.operations import Conv, Dyadic, Linear, Operation

CHUNK, LARGE = 2**24, 2**16  # bytes: what is asked for at once, for arrays of so many


class Memory:
    """Copies of arrays that live as long as this object, each at the begin of a line.

    Large ones follow one another in chunks, for which NumPy asks the system for large pages.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self.left = np.empty(0, np.uint8)

    def keep(self, array: np.ndarray, dtype: str) -> int:
        """The address of a copy."""
        whole = np.ascontiguousarray(array, dtype=dtype)
        memory = self._room(whole.nbytes + LINE)
        begin = -memory.ctypes.data % LINE
        kept = memory[begin : begin + whole.nbytes].view(whole.dtype).reshape(whole.shape)
        kept[...] = whole
        self.arrays.append(kept)
        return kept.ctypes.data

    def _room(self, size: int) -> np.ndarray:
        if size < LARGE:
            return np.empty(size, np.uint8)
        if len(self.left) < size:
            self.left = np.empty(max(size, CHUNK), np.uint8)
        taken, self.left = np.split(self.left, [size])
        return taken

    def scale(self, scale: Dyadic, lo: int, hi: int) -> Structure:
        """A `dy_scale`."""
        b, c = self.keep(scale.b, "int32"), self.keep(scale.c, "uint8")
        return binding.Scale(b, c, len(scale.b) > 1, lo, hi)

    def lanes(self, lanes: Lanes) -> Structure:
        """A `dy_lanes`."""
        b, c = self.keep(np.append(lanes.b, 0), "int32"), self.keep(lanes.c, "int32")
        up = self.keep(lanes.up, "int32") if lanes.up.any() else None
        rounds = self.keep(lanes.rounds, "int32") if lanes.high else None
        return binding.Lanes(b, c, up, rounds, lanes.high, lanes.lo, lanes.hi)


def as_gemm(
    operation: Linear,
    choice: Choice,
    source: Slot,
    target: Slot,
    largest: int,
    path: InstructionSet,
    memory: Memory,
) -> tuple[Structure, int]:
    """The layer as a `dy_gemm` without outputs, and the bytes of scratch that it needs."""
    if choice.patch:
        assert isinstance(operation, Conv)
        gemm = pack_patches(operation, choice, choice.patch, largest, path)
    else:
        gemm = pack_gemm(operation, choice, source, largest, path)
    made = _structure(gemm, choice, memory)
    made.fold = _is_point(operation) and source.shape[1:] == target.shape[1:] == (1, 1)
    if operation.odd:
        made.odd_b = memory.keep(spread(operation.odd.b, gemm.blocks * BLOCK), "int32")
    return made, gemm.scratch


def _structure(gemm: Gemm, choice: Choice, memory: Memory) -> Structure:
    made = binding.Gemm(
        unit=binding.GEMM_UNITS.index(choice.unit),
        in_place=choice.in_place,
        flip=gemm.flip,
        limit=gemm.limit,
        stretch_count=len(gemm.stretches),
        words=gemm.words,
        blocks=gemm.blocks,
        group_blocks=gemm.group_blocks,
        group_bytes=gemm.group_bytes,
        row=gemm.row,
        stretches=memory.keep(gemm.stretches, "int64"),
        lanes=memory.lanes(gemm.lanes),
    )
    made.weights, *odd = (memory.keep(plane, plane.dtype.str) for plane in gemm.planes)
    made.bias, *odd_bias = (memory.keep(bias, "int32") for bias in gemm.biases)
    if odd:
        (made.odd,), (made.odd_bias,) = odd, odd_bias
    if choice.patch:
        assert gemm.shifts is not None
        assert gemm.patch_bias is not None
        made.patch, made.points = choice.patch.m, choice.patch.points
        made.factor = choice.patch.factor
        made.shifts = memory.keep(gemm.shifts, "uint8")
        made.patch_bias = memory.keep(gemm.patch_bias, "int32")
    return made


def _is_point(operation: Linear) -> bool:
    """Whether an output pixel sees the input pixel of its own place alone."""
    if not isinstance(operation, Conv):
        return True
    kernel = operation.weights.codes.shape[2:]
    return kernel == operation.stride == (1, 1) and operation.padding == (0, 0)


def layer_window(operation: Operation) -> Structure:
    """A convolution's window; a fully connected layer is one of 1 x 1."""
    if not isinstance(operation, Conv):
        return binding.Window(1, 1, 1, 1, 0, 0, 1, 1)
    kernel = operation.weights.codes.shape[2:]
    return binding.Window(*kernel, *operation.stride, *operation.padding, *operation.dilation)
