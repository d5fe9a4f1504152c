"""Shapes of every tensor of a program, and whether its operations fit together at all.

What is checked here and in `bounds` is all that an engine relies on: a program that passes runs in
every engine without a further test. Nothing is trusted: the program may come from a damaged file.
"""

import re
from functools import singledispatch
from math import prod

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.dyadic import LARGEST_SHIFT
from dyadic.integer.program import (
    INT32,
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    MaxPool,
    Normalize,
    Operation,
    Program,
    Relu,
    Repeat,
    Requantize,
    SumPool,
    Threshold,
    Weights,
)

Shape = tuple[int, ...]
LARGEST_TENSOR = 2**31 - 1  # elements of one image: every index fits an int
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,199}")


class ProgramError(UserError):
    """A program that no engine may run; one line that names the operation."""


def require(condition: bool, operation: Operation, message: str) -> None:
    """Raise ProgramError, naming the operation, unless the condition holds."""
    if not condition:
        kind = type(operation).__name__
        raise ProgramError(f"operation {operation.name!r} ({kind}): {message}")


def shapes(program: Program) -> dict[str, Shape]:
    """Shape of every tensor of one image, "input" included: (C, H, W), or (F,) once flattened.

    Raises: ProgramError for a name used twice, an input that no earlier operation makes, and any
    operation whose arrays, shapes or numbers are not as `dyadic.integer.program` says.
    """
    if len(program.input_shape) != 3 or not 0 < prod(program.input_shape) <= LARGEST_TENSOR:
        raise ProgramError(f"input shape {program.input_shape}; (channels, rows, columns) expected")
    if not program.operations:
        raise ProgramError("the program has no operations")
    known: dict[str, Shape] = {"input": program.input_shape}
    for operation in program.operations:
        require(bool(NAME.fullmatch(operation.name)), operation, "letters, digits, '_', '.' only")
        require(operation.name not in known, operation, "the name is used twice")
        for name in operation.inputs:
            require(name in known, operation, f"input {name!r} is made by no earlier operation")
        shape = _shape(operation, *(known[name] for name in operation.inputs))
        fits = min(shape) > 0 and prod(shape) <= LARGEST_TENSOR
        require(fits, operation, f"output shape {shape} is empty or too large")
        known[operation.name] = shape
    last = program.operations[-1]
    require(len(known[last.name]) == 1, last, f"logits of shape {known[last.name]}; Flatten first")
    return known


@singledispatch
def _shape(operation: Operation, *inputs: Shape) -> Shape:
    require(False, operation, "unknown operation")
    return ()


def _only(operation: Operation, inputs: tuple[Shape, ...], rank: int = 0) -> Shape:
    """The shape of the single input, of that rank."""
    require(len(inputs) == 1, operation, f"{len(inputs)} inputs; one expected")
    require(rank in (0, len(inputs[0])), operation, f"input {inputs[0]} is not of rank {rank}")
    return inputs[0]


@_shape.register
def _(operation: Normalize, *inputs: Shape) -> Shape:
    shape = _only(operation, inputs, rank=3)
    require(operation.inputs == ("input",), operation, "its input must be the pixels")
    _check_integers(operation, "bias", operation.bias, (shape[0],), INT32)
    _check_scale(operation, operation.scale, shape[0])
    _check_clamp(operation, operation.lo, operation.hi)
    return shape


@_shape.register
def _(operation: Linear, *inputs: Shape) -> Shape:
    (features,) = _only(operation, inputs, rank=1)
    outputs, expected = _check_layer(operation, rank=2)
    require(expected == features, operation, f"{features} inputs, weights for {expected}")
    return (outputs,)


@_shape.register
def _(operation: Conv, *inputs: Shape) -> Shape:
    channels, *size = _only(operation, inputs, rank=3)
    outputs, per_group = _check_layer(operation, rank=4)
    groups = operation.groups
    _check_positive(operation, groups, *operation.stride, *operation.dilation)
    require(min(operation.padding) >= 0, operation, f"padding {operation.padding} is negative")
    divided = outputs % groups == 0 and channels == per_group * groups
    require(
        divided, operation, f"{channels} channels, weights for {per_group} in {groups} group(s)"
    )
    return (outputs, *_windows(operation, size, operation.weights.codes.shape[2:]))


def _windows(operation: Conv, size: list[int], kernel: Shape) -> Shape:
    """Rows and columns: floor((n + 2 p - d (k - 1) - 1) / s) + 1."""
    steps = zip(size, kernel, operation.stride, operation.padding, operation.dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in steps)


@_shape.register
def _(operation: Requantize, *inputs: Shape) -> Shape:
    _check_scale(operation, operation.scale, channels=1)
    _check_clamp(operation, operation.lo, operation.hi)
    return _only(operation, inputs)


@_shape.register
def _(operation: Threshold, *inputs: Shape) -> Shape:
    levels = len(operation.values)
    _check_integers(operation, "thresholds", operation.thresholds, (levels - 1,), INT32)
    _check_integers(operation, "values", operation.values, (levels,), INT32)
    for array in (operation.thresholds, operation.values):
        require(bool((np.diff(array) >= 0).all()), operation, "not in ascending order")
    return _only(operation, inputs)


@_shape.register
def _(operation: Add, *inputs: Shape) -> Shape:
    require(len(inputs) == 2, operation, f"{len(inputs)} inputs; two expected")
    require(inputs[0] == inputs[1], operation, f"inputs of shapes {inputs[0]} and {inputs[1]}")
    _check_clamp(operation, operation.lo, operation.hi)
    return inputs[0]


@_shape.register
def _(operation: Relu, *inputs: Shape) -> Shape:
    return _only(operation, inputs)


@_shape.register
def _(operation: Concat, *inputs: Shape) -> Shape:
    require(len(inputs) > 0, operation, "no inputs")
    same = len({shape[1:] for shape in inputs}) == 1
    require(same, operation, f"inputs of shapes {inputs} differ beyond their channels")
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@_shape.register(MaxPool)
@_shape.register(SumPool)
def _(operation: MaxPool | SumPool, *inputs: Shape) -> Shape:
    channels, *size = _only(operation, inputs, rank=3)
    _check_positive(operation, *operation.kernel, *operation.stride)
    small = all(0 <= 2 * p <= k for p, k in zip(operation.padding, operation.kernel, strict=True))
    require(small, operation, f"padding {operation.padding} is more than half the window")
    steps = zip(size, operation.kernel, operation.stride, operation.padding, strict=True)
    ceil = isinstance(operation, MaxPool) and operation.ceil
    return (channels, *(pool_positions(n, k, s, p, ceil) for n, k, s, p in steps))


def pool_positions(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """Positions of a pooling window along one axis; with ceil, none begins in the far padding.

    >>> pool_positions(4, 3, 2, 0, ceil=False), pool_positions(4, 3, 2, 0, ceil=True)
    (1, 2)
    """
    room = size + 2 * padding - kernel
    if not ceil or room < 0:
        return room // stride + 1
    positions = -(-room // stride) + 1
    return positions - ((positions - 1) * stride >= size + padding)


@_shape.register
def _(operation: Repeat, *inputs: Shape) -> Shape:
    channels, rows, columns = _only(operation, inputs, rank=3)
    _check_positive(operation, *operation.times)
    return (channels, rows * operation.times[0], columns * operation.times[1])


@_shape.register
def _(operation: Flatten, *inputs: Shape) -> Shape:
    return (prod(_only(operation, inputs)),)


def _check_layer(operation: Linear, rank: int) -> tuple[int, int]:
    """Weights, bias and scales of a layer; its output channels and inputs per output."""
    _check_weights(operation, operation.weights, rank)
    outputs, inputs = operation.weights.codes.shape[:2]
    _check_integers(operation, "bias", operation.bias, (outputs,), (-(2**62), 2**62))
    _check_clamp(operation, operation.lo, operation.hi)
    planes = len(operation.weights.planes)
    require(planes == 1 + (operation.odd is not None), operation, "two planes need two scales")
    if operation.odd is None:
        _check_scale(operation, operation.scale, outputs)
        return outputs, inputs
    for scale in (operation.scale, operation.odd):
        _check_scale(operation, scale, outputs, normalized=False)
    same = np.array_equal(operation.scale.c, operation.odd.c)
    require(same, operation, "the two scales have different c")
    return outputs, inputs


def _check_weights(operation: Operation, weights: Weights, rank: int) -> None:
    codes, levels = weights.codes, weights.levels
    require(codes.dtype in (np.uint8, np.uint16), operation, f"weight codes are {codes.dtype}")
    require(codes.ndim == rank and codes.size > 0, operation, f"weights of shape {codes.shape}")
    planes = levels.shape[0] if levels.ndim == 2 else 1
    right = levels.ndim in (1, 2) and planes == levels.ndim
    require(right, operation, f"levels of shape {levels.shape}; [K] or [2, K] expected")
    _check_integers(operation, "levels", levels, levels.shape, INT32)
    count = levels.shape[-1]
    require(1 <= weights.bits <= 16, operation, f"weights of {weights.bits} bits; 1 to 16 expected")
    fits = 0 < count <= 2**weights.bits
    require(fits, operation, f"{count} levels do not fit {weights.bits} bits")
    require(int(codes.max()) < count, operation, f"code {codes.max()} of {count} levels")
    real = np.atleast_2d(levels).T @ np.array([1.0, 2.0**0.5])[:planes]
    require(bool((np.diff(real) > 0).all()), operation, "levels are not ascending")


def _check_scale(
    operation: Operation, scale: Dyadic, channels: int, normalized: bool = True
) -> None:
    """One dyadic number or one per channel, b and c in range (`dyadic.integer.dyadic`)."""
    shape = scale.b.shape if scale.b.shape == (1,) else (channels,)
    _check_integers(operation, "scale b", scale.b, shape, (-(2**31) + 1, 2**31 - 1))
    _check_integers(operation, "scale c", scale.c, shape, (0, LARGEST_SHIFT))
    full = (np.abs(scale.b) >= 2**30) | (scale.b == 0) | (scale.c == LARGEST_SHIFT)
    require(bool(full.all()) or not normalized, operation, "scale b is not normalized to 31 bits")


def _check_clamp(operation: Operation, lo: int, hi: int) -> None:
    inside = INT32[0] <= lo <= hi <= INT32[1]
    require(inside, operation, f"clamp from {lo} to {hi}; ascending int32 expected")


def _check_positive(operation: Operation, *numbers: int) -> None:
    inside = all(0 < n <= LARGEST_TENSOR for n in numbers)
    require(inside, operation, f"{numbers} must be positive")


def _check_integers(
    operation: Operation, what: str, array: np.ndarray, shape: Shape, limits: tuple[int, int]
) -> None:
    right = array.dtype == np.int64 and array.shape == shape
    require(right, operation, f"{what} is {array.dtype} {array.shape}; int64 {shape} expected")
    inside = array.size == 0 or (limits[0] <= int(array.min()) and int(array.max()) <= limits[1])
    require(inside, operation, f"{what} outside {limits[0]} .. {limits[1]}")
