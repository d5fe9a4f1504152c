"""What a program takes to run, per image: elements of memory, and elementary steps of work."""

from functools import singledispatch
from math import prod

from dyadic.integer.program import operations as ops
from dyadic.integer.program.limits import ELEMENTS, WORK
from dyadic.integer.program.requirements import Shape, require


class Costs:
    """Adds up the operations; refuses the one that passes a limit."""

    def __init__(self, pixels: Shape) -> None:
        self.elements, self.work = prod(pixels), 0

    def add(self, operation: ops.Operation, output: Shape, inputs: tuple[Shape, ...]) -> None:
        """Raises: ProgramError for more memory or work than `limits` allows."""
        self.elements += prod(output) + _padded(operation, inputs)
        self.work += prod(output) * _steps(operation, inputs)
        memory = f"with it an image takes {self.elements} elements of memory; {ELEMENTS} at most"
        require(self.elements <= ELEMENTS, operation, memory)
        work = f"with it an image takes {self.work} steps of work; {WORK} at most"
        require(self.work <= WORK, operation, work)


def _padded(operation: ops.Operation, inputs: tuple[Shape, ...]) -> int:
    """Elements of the input with its padding, where an engine makes one; else 0."""
    padded = isinstance(operation, ops.Conv | ops.MaxPool | ops.SumPool)
    if not padded or not any(operation.padding):
        return 0
    channels, *size = inputs[0]
    return channels * prod(n + 2 * p for n, p in zip(size, operation.padding, strict=True))


@singledispatch
def _steps(operation: ops.Operation, inputs: tuple[Shape, ...]) -> int:
    """Steps for one element of the output."""
    return 1


@_steps.register
def _(operation: ops.Linear, inputs: tuple[Shape, ...]) -> int:
    return prod(operation.weights.codes.shape[1:])


@_steps.register
def _(operation: ops.Threshold, inputs: tuple[Shape, ...]) -> int:
    return len(operation.values)


@_steps.register(ops.MaxPool)
@_steps.register(ops.SumPool)
def _(operation: ops.MaxPool | ops.SumPool, inputs: tuple[Shape, ...]) -> int:
    return prod(operation.kernel)


@_steps.register
def _(operation: ops.AdaptiveSumPool, inputs: tuple[Shape, ...]) -> int:
    return prod(-(-n // o) + 1 for n, o in zip(inputs[0][1:], operation.size, strict=True))
