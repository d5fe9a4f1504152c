"""What the fields of an operation must be, whatever the shapes around it."""

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.program.limits import GEOMETRY, SHIFT
from dyadic.integer.program.operations import INT32, Dyadic, Linear, Operation, Weights

Shape = tuple[int, ...]


LONGEST_LINE = 1000


class ProgramError(UserError):
    """A program that no engine may run; one printable line that names the operation.

    Parts of the line may come from a stranger's file: escapes are shown, not sent to a terminal.
    """

    def __init__(self, line: str) -> None:
        shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line[:LONGEST_LINE])
        super().__init__(shown)


def require(condition: bool, operation: Operation, message: str) -> None:
    """Raise ProgramError, naming the operation, unless the condition holds."""
    if not condition:
        kind = type(operation).__name__
        raise ProgramError(f"operation {operation.name!r} ({kind}): {message}")


def check_layer(operation: Linear, rank: int) -> tuple[int, int]:
    """Weights, bias and scales of a layer; returns its output channels and inputs per output."""
    check_weights(operation, operation.weights, rank)
    outputs, inputs = operation.weights.codes.shape[:2]
    check_integers(operation, "bias", operation.bias, (outputs,), (-(2**62), 2**62))
    check_clamp(operation, operation.lo, operation.hi)
    planes = len(np.atleast_2d(operation.weights.levels))
    require(planes == 1 + (operation.odd is not None), operation, "two planes need two scales")
    if operation.odd is None:
        check_scale(operation, operation.scale, outputs)
        return outputs, inputs
    for scale in (operation.scale, operation.odd):
        check_scale(operation, scale, outputs, normalized=False)
    same = np.array_equal(operation.scale.c, operation.odd.c)
    require(same, operation, "the two scales have different c")
    return outputs, inputs


def check_weights(operation: Operation, weights: Weights, rank: int) -> None:
    """Codes, levels and bits that belong together; levels ascending."""
    codes, levels = weights.codes, weights.levels
    require(codes.dtype in (np.uint8, np.uint16), operation, f"weight codes are {codes.dtype}")
    require(codes.ndim == rank and codes.size > 0, operation, f"weights of shape {codes.shape}")
    planes = levels.shape[0] if levels.ndim == 2 else 1
    require(
        planes == levels.ndim, operation, f"levels of shape {levels.shape}; [K] or [2, K] expected"
    )
    check_integers(operation, "levels", levels, levels.shape, INT32)
    count = levels.shape[-1]
    require(1 <= weights.bits <= 16, operation, f"weights of {weights.bits} bits; 1 to 16 expected")
    require(count <= 2**weights.bits, operation, f"{count} levels do not fit {weights.bits} bits")
    require(int(codes.max()) < count, operation, f"code {codes.max()} of {count} levels")
    real = np.atleast_2d(levels).T @ np.array([1.0, 2.0**0.5])[:planes]
    require(bool((np.diff(real) > 0).all()), operation, "levels are not ascending")


def check_scale(
    operation: Operation, scale: Dyadic, channels: int, normalized: bool = True
) -> None:
    """One dyadic number or one per channel, b and c in range (`dyadic.integer.program.dyadic`)."""
    shape = scale.b.shape if scale.b.shape == (1,) else (channels,)
    check_integers(operation, "scale b", scale.b, shape, (-(2**31) + 1, 2**31 - 1))
    check_integers(operation, "scale c", scale.c, shape, (0, SHIFT))
    full = (np.abs(scale.b) >= 2**30) | (scale.b == 0) | (scale.c == SHIFT)
    require(bool(full.all()) or not normalized, operation, "scale b is not normalized to 31 bits")


def check_clamp(operation: Operation, lo: int, hi: int) -> None:
    """An interval of int32."""
    inside = INT32[0] <= lo <= hi <= INT32[1]
    require(inside, operation, f"clamp from {lo} to {hi}; ascending int32 expected")


def check_positive(operation: Operation, *numbers: int) -> None:
    """Strides, kernels and the like."""
    inside = all(0 < n <= GEOMETRY for n in numbers)
    require(inside, operation, f"{numbers} must be positive, at most {GEOMETRY}")


def check_padding(operation: Operation, *numbers: int) -> None:
    """Rows or columns around an image."""
    require(min(numbers) >= 0, operation, f"padding {numbers} is negative")
    require(max(numbers) <= GEOMETRY, operation, f"padding {numbers}; at most {GEOMETRY}")


def check_shape(operation: Operation, shape: Shape) -> None:
    """A tensor that is not empty; `costs` has what is too large."""
    require(min(shape) > 0, operation, f"output shape {shape} is empty")


def check_integers(
    operation: Operation, what: str, array: np.ndarray, shape: Shape, limits: tuple[int, int]
) -> None:
    """An int64 array of this shape, within the limits (both included)."""
    right = array.dtype == np.int64 and array.shape == shape
    require(right, operation, f"{what} is {array.dtype} {array.shape}; int64 {shape} expected")
    inside = array.size == 0 or (limits[0] <= int(array.min()) and int(array.max()) <= limits[1])
    require(inside, operation, f"{what} outside {limits[0]} .. {limits[1]}")
