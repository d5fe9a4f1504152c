"""Shapes of every tensor of a program, and whether its operations fit together at all.

What is checked here and in `bounds` is all that an engine relies on: a program that passes runs in
every engine without a further test. Nothing is trusted: the program may come from a damaged file.
"""

from functools import singledispatch
from math import prod

import numpy as np

from dyadic.integer.program import operations as ops
from dyadic.integer.program.costs import Costs
from dyadic.integer.program.limits import NAME_LETTERS, OPERATIONS, TABLE
from dyadic.integer.program.requirements import (
    ProgramError,
    Shape,
    check_clamp,
    check_integers,
    check_layer,
    check_padding,
    check_positive,
    check_scale,
    check_shape,
    require,
)
from dyadic.integer.program.windows import COUNTED, pool_positions


def shapes(program: ops.Program) -> dict[str, Shape]:
    """Shape of every tensor of one image, "input" included: (C, H, W), or (F,) once flattened.

    Raises: ProgramError for a name used twice, an input that no earlier operation makes, and any
    operation whose arrays, shapes or numbers are not as `dyadic.integer.program.operations` says.
    """
    _check_frame(program)
    found: dict[str, Shape] = {"input": program.input_shape}
    costs = Costs(program.input_shape)
    for operation in program.operations:
        printable = 0 < len(operation.name) <= NAME_LETTERS and operation.name.isprintable()
        require(printable, operation, f"not a printable name of at most {NAME_LETTERS} letters")
        require(operation.name not in found, operation, "the name is used twice")
        for name in operation.inputs:
            require(name in found, operation, f"input {name!r} is made by no earlier operation")
        inputs = tuple(found[name] for name in operation.inputs)
        shape = _shape(operation, *inputs)
        check_shape(operation, shape)
        costs.add(operation, shape, inputs)
        found[operation.name] = shape
    last = program.operations[-1]
    require(len(found[last.name]) == 1, last, f"logits of shape {found[last.name]}; Flatten first")
    return found


def _check_frame(program: ops.Program) -> None:
    """What is wrong with the program as a whole."""
    shape = program.input_shape
    if len(shape) != 3 or min(shape) < 1:
        raise ProgramError(f"input shape {shape}; (channels, rows, columns) expected")
    if not 0 < len(program.operations) <= OPERATIONS:
        count = len(program.operations) or "no"
        raise ProgramError(f"the program has {count} operations; 1 to {OPERATIONS} expected")


@singledispatch
def _shape(operation: ops.Operation, *inputs: Shape) -> Shape:
    require(False, operation, "unknown operation")
    return ()


def _only(operation: ops.Operation, inputs: tuple[Shape, ...], rank: int = 0) -> Shape:
    """The shape of the single input, of that rank."""
    require(len(inputs) == 1, operation, f"{len(inputs)} inputs; one expected")
    require(rank in (0, len(inputs[0])), operation, f"input {inputs[0]} is not of rank {rank}")
    return inputs[0]


@_shape.register
def _(operation: ops.Normalize, *inputs: Shape) -> Shape:
    shape = _only(operation, inputs, rank=3)
    require(operation.inputs == ("input",), operation, "its input must be the pixels")
    check_integers(operation, "bias", operation.bias, (shape[0],), ops.INT32)
    check_scale(operation, operation.scale, shape[0])
    check_clamp(operation, operation.lo, operation.hi)
    return shape


@_shape.register
def _(operation: ops.Linear, *inputs: Shape) -> Shape:
    (features,) = _only(operation, inputs, rank=1)
    outputs, expected = check_layer(operation, rank=2)
    require(expected == features, operation, f"{features} inputs, weights for {expected}")
    return (outputs,)


@_shape.register
def _(operation: ops.Conv, *inputs: Shape) -> Shape:
    channels, *size = _only(operation, inputs, rank=3)
    outputs, per_group = check_layer(operation, rank=4)
    groups = operation.groups
    require(groups > 0, operation, f"{groups} groups must be positive")
    check_positive(operation, *operation.stride, *operation.dilation)
    check_padding(operation, *operation.padding)
    divided = outputs % groups == 0 and channels == per_group * groups
    require(
        divided, operation, f"{channels} channels, weights for {per_group} in {groups} group(s)"
    )
    return (outputs, *_windows(operation, size, operation.weights.codes.shape[2:]))


def _windows(operation: ops.Conv, size: list[int], kernel: Shape) -> Shape:
    """Rows and columns: floor((n + 2 p - d (k - 1) - 1) / s) + 1."""
    steps = zip(size, kernel, operation.stride, operation.padding, operation.dilation, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in steps)


@_shape.register
def _(operation: ops.Requantize, *inputs: Shape) -> Shape:
    check_scale(operation, operation.scale, channels=1)
    check_clamp(operation, operation.lo, operation.hi)
    return _only(operation, inputs)


@_shape.register
def _(operation: ops.Threshold, *inputs: Shape) -> Shape:
    levels = len(operation.values)
    check_integers(operation, "thresholds", operation.thresholds, (levels - 1,), ops.INT32)
    check_integers(operation, "values", operation.values, (levels,), ops.INT32)
    for array in (operation.thresholds, operation.values):
        require(bool((np.diff(array) >= 0).all()), operation, "not in ascending order")
    return _only(operation, inputs)


@_shape.register
def _(operation: ops.Add, *inputs: Shape) -> Shape:
    require(len(inputs) == 2, operation, f"{len(inputs)} inputs; two expected")
    require(inputs[0] == inputs[1], operation, f"inputs of shapes {inputs[0]} and {inputs[1]}")
    check_clamp(operation, operation.lo, operation.hi)
    return inputs[0]


@_shape.register
def _(operation: ops.Relu, *inputs: Shape) -> Shape:
    return _only(operation, inputs)


@_shape.register
def _(operation: ops.Concat, *inputs: Shape) -> Shape:
    require(len(inputs) > 0, operation, "no inputs")
    same = len({shape[1:] for shape in inputs}) == 1
    require(same, operation, f"inputs of shapes {inputs} differ beyond their channels")
    return (sum(shape[0] for shape in inputs), *inputs[0][1:])


@_shape.register(ops.MaxPool)
@_shape.register(ops.SumPool)
def _(operation: ops.MaxPool | ops.SumPool, *inputs: Shape) -> Shape:
    channels, *size = _only(operation, inputs, rank=3)
    check_positive(operation, *operation.kernel, *operation.stride)
    small = all(0 <= 2 * p <= k for p, k in zip(operation.padding, operation.kernel, strict=True))
    require(small, operation, f"padding {operation.padding} is more than half the window")
    if isinstance(operation, ops.SumPool):
        expected = f"counted is {operation.counted!r}; one of {', '.join(COUNTED)} expected"
        require(operation.counted in COUNTED, operation, expected)
    steps = zip(size, operation.kernel, operation.stride, operation.padding, strict=True)
    return (channels, *(pool_positions(n, k, s, p, operation.ceil) for n, k, s, p in steps))


@_shape.register
def _(operation: ops.AdaptiveSumPool, *inputs: Shape) -> Shape:
    channels, *_ = _only(operation, inputs, rank=3)
    check_positive(operation, *operation.size)
    return (channels, *operation.size)


@_shape.register
def _(operation: ops.Lookup, *inputs: Shape) -> Shape:
    entries = len(operation.values)
    require(0 < entries <= TABLE, operation, f"a table of {entries}; 1 to 256 expected")
    check_integers(operation, "values", operation.values, (entries,), ops.INT32)
    check_clamp(operation, operation.lo, operation.lo + entries - 1)
    return _only(operation, inputs)


@_shape.register
def _(operation: ops.Multiply, *inputs: Shape) -> Shape:
    require(len(inputs) == 2, operation, f"{len(inputs)} inputs; two expected")
    x, y = inputs
    fits = all(b in (a, 1) for a, b in zip(x, y, strict=False)) and len(y) in (1, len(x))
    require(fits, operation, f"inputs of shapes {x} and {y}; each axis of the second: equal or 1")
    check_scale(operation, operation.scale, channels=1)
    check_clamp(operation, operation.lo, operation.hi)
    return x


@_shape.register
def _(operation: ops.Select, *inputs: Shape) -> Shape:
    channels, *size = _only(operation, inputs)
    chosen = operation.channels
    check_integers(operation, "channels", chosen, (len(chosen),), (ops.ZEROS, channels - 1))
    return (len(chosen), *size)


@_shape.register
def _(operation: ops.Pad, *inputs: Shape) -> Shape:
    channels, rows, columns = _only(operation, inputs, rank=3)
    left, right, top, bottom = operation.padding
    check_padding(operation, *map(abs, operation.padding))
    cut = max(-left, 0) + max(-right, 0) < columns and max(-top, 0) + max(-bottom, 0) < rows
    require(cut, operation, f"padding {operation.padding} cuts everything off")
    return (channels, rows + top + bottom, columns + left + right)


@_shape.register
def _(operation: ops.Repeat, *inputs: Shape) -> Shape:
    channels, rows, columns = _only(operation, inputs, rank=3)
    check_positive(operation, *operation.times)
    return (channels, rows * operation.times[0], columns * operation.times[1])


@_shape.register
def _(operation: ops.Flatten, *inputs: Shape) -> Shape:
    return (prod(_only(operation, inputs)),)
