"""Weights in the order in which `dy_convolve` reads them: a row of the depth per output channel."""

from dataclasses import dataclass

import numpy as np

from dyadic.integer.program.bounds import Accumulator
from dyadic.integer.program.operations import Linear

NEGATIVE, ZERO = 64, 128  # DY_NEGATIVE, DY_ZERO


@dataclass(frozen=True)
class Rows:
    """A layer's planes [O, kh, kw, I/groups], of one form.

    form  "int8", "int16", "int32", "int64" or "shift"
    wide  whether accumulators need 64 bits, or two words when they are rescaled
    """

    planes: tuple[np.ndarray, ...]
    form: str
    wide: bool


def weight_rows(operation: Linear, bound: Accumulator, source: str, shifts: bool) -> Rows:
    """Weights in the narrowest form for an input of type `source`; or as shifts, if `shifts`."""
    planes = tuple(as_conv(plane).transpose(0, 2, 3, 1) for plane in operation.weights.planes)
    wide = bound.split or bound.dtype == "int64"
    if shifts and all(is_shift(plane) for plane in planes):
        return Rows(tuple(shift_codes(plane) for plane in planes), "shift", wide)
    form = "int64" if wide else "int32" if source == "int32" else _narrowest(planes)
    return Rows(tuple(plane.astype(form) for plane in planes), form, wide)


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
    """The form that holds all weights; int32 ones meet an input of 32 bits in C."""
    for form in ("int8", "int16"):
        limits = np.iinfo(form)
        if all(limits.min <= p.min() and p.max() <= limits.max for p in planes):
            return form
    return "int32"
