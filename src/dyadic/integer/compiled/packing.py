"""Weights in the order in which the C kernels read them."""

from dataclasses import dataclass

import numpy as np

from dyadic.integer.bounds import Accumulator
from dyadic.integer.program import Conv, Linear

BLOCK = 16  # output channels side by side: DY_BLOCK

NEGATIVE, ZERO = 64, 128  # DY_NEGATIVE, DY_ZERO


@dataclass(frozen=True)
class Blocks:
    """A layer for `dy_convolve`: planes [groups][blocks][taps * group_in][BLOCK] of one form.

    form  "int8", "int16", "int64" or "shift"
    wide  whether accumulators need 64 bits, or two words when they are rescaled
    """

    planes: tuple[np.ndarray, ...]
    form: str
    wide: bool


def blocks(operation: Linear, bound: Accumulator, shifts: bool) -> Blocks:
    """Weights in the narrowest form; powers of two as shifts, if `shifts`."""
    planes = tuple(as_conv(plane) for plane in operation.weights.planes)
    groups = operation.groups if isinstance(operation, Conv) else 1
    wide = bound.split or bound.dtype == "int64"
    if shifts and all(is_shift(plane) for plane in planes):
        form, planes = "shift", tuple(shift_codes(plane) for plane in planes)
    else:
        form = "int64" if wide else _narrowest(planes)
        wide = form == "int64"
    dtype = np.uint8 if form == "shift" else np.dtype(form)
    fill = ZERO if form == "shift" else 0
    return Blocks(tuple(_blocks(p.astype(dtype), groups, fill) for p in planes), form, wide)


def as_conv(plane: np.ndarray) -> np.ndarray:
    """[O, I] as [O, I, 1, 1]; a convolution's weights as they are."""
    return plane.reshape(*plane.shape, 1, 1) if plane.ndim == 2 else plane


def is_shift(plane: np.ndarray) -> bool:
    """Whether every weight is zero or a power of two with a sign."""
    size = np.abs(plane)
    return bool(((size & (size - 1)) == 0).all())


def shift_codes(plane: np.ndarray) -> np.ndarray:
    """A byte a weight: exponent, plus NEGATIVE, or ZERO alone."""
    exponent = np.frexp(np.abs(plane).astype(np.float64))[1] - 1
    return np.where(plane == 0, ZERO, exponent + NEGATIVE * (plane < 0)).astype(np.uint8)


def _narrowest(planes: tuple[np.ndarray, ...]) -> str:
    for form in ("int8", "int16"):
        limits = np.iinfo(form)
        if all(limits.min <= p.min() and p.max() <= limits.max for p in planes):
            return form
    return "int64"


def _blocks(plane: np.ndarray, groups: int, fill: int) -> np.ndarray:
    """[O, I/groups, kh, kw] to [groups, blocks, kh * kw * I/groups, BLOCK], padded with `fill`."""
    outputs = len(plane) // groups
    rows = plane.transpose(0, 2, 3, 1).reshape(groups, outputs, -1)
    padding = -outputs % BLOCK
    rows = np.pad(rows, ((0, 0), (0, padding), (0, 0)), constant_values=fill)
    tiles = rows.reshape(groups, -1, BLOCK, rows.shape[-1])
    return np.ascontiguousarray(tiles.transpose(0, 1, 3, 2))
