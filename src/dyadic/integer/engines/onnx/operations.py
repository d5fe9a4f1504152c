"""A program's operations as nodes of an ONNX graph, integer operators alone."""

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import onnx

from dyadic.integer.engines.onnx.graph import Graph, Term
from dyadic.integer.engines.onnx.layers import layer
from dyadic.integer.program import operations as ops
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.names import identifiers
from dyadic.integer.program.windows import windows

UNREACHED = 2**40  # a threshold above every int32


def onnx_model(program: ops.Program | Proof, outputs: Sequence[str] = ()) -> onnx.ModelProto:
    """The ONNX model of a program; it returns the tensors of these operations, or the logits.

    Tensors are called like their operations where ONNX's names allow it (`identifiers`).
    """
    proof, graph = prove(program), Graph()
    program = proof.program
    names = [operation.name for operation in program.operations]
    called = dict(
        zip(names, identifiers(names, others=".", taken=["input", "pixels"]), strict=True)
    )
    graph.here = "pixels"
    tensors = {"input": graph.cast("input", "int32")}
    for operation in program.operations:
        graph.here = called[operation.name]
        inputs = [tensors[name] for name in operation.inputs]
        tensors[operation.name] = _emit(operation, graph, proof, inputs)
    shapes = {called[name]: proof.shapes[name] for name in outputs or names[-1:]}
    return graph.model(program.name, program.input_shape, shapes, program.note)


@singledispatch
def _emit(operation: ops.Operation, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """Add the nodes of an operation on int32 tensors; its int32 tensor is named `graph.here`."""
    raise TypeError(f"{type(operation).__name__} is no operation of a program")


@_emit.register
def _(operation: ops.Normalize, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    pixels = graph.node("Mul", graph.cast(inputs[0], "int64"), graph.constant(256))
    acc = graph.node("Add", pixels, graph.constant(operation.bias.reshape(1, -1, 1, 1)))
    term = Term(acc, operation.scale, np.abs(operation.bias) + 256 * 255)
    return graph.requantize([term], (operation.lo, operation.hi), 3, graph.here)


_emit.register(ops.Linear, layer)


@_emit.register
def _(operation: ops.Requantize, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    lo, hi = proof.ranges[operation.inputs[0]]
    acc, rank = graph.cast(inputs[0], "int64"), len(proof.shapes[operation.name])
    term = Term(acc, operation.scale, np.array([max(-lo, hi)]))
    return graph.requantize([term], (operation.lo, operation.hi), rank, graph.here)


@_emit.register
def _(operation: ops.Threshold, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """Binary search for the cell; the sign bit of x - threshold says which half to leave."""
    rounds = len(operation.thresholds).bit_length()
    padded = np.full(2**rounds, UNREACHED)
    padded[: len(operation.thresholds)] = operation.thresholds
    thresholds, x = graph.constant(padded), graph.cast(inputs[0], "int64")
    cell = graph.node("Mul", x, graph.constant(0))
    for step in (2**r for r in reversed(range(rounds))):
        probe = graph.node("Add", cell, graph.constant(step - 1))
        below = graph.logical_shift(
            graph.node("Sub", x, graph.node("Gather", thresholds, probe)), 63
        )
        further = graph.node("Add", cell, graph.constant(step))
        cell = graph.node("Sub", further, graph.node("Mul", below, graph.constant(step)))
    values = graph.constant(operation.values, "int32")
    return graph.node("Gather", values, cell, output=graph.here)


@_emit.register
def _(operation: ops.Add, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    total = graph.node("Add", *inputs)
    return graph.clamp(total, operation.lo, operation.hi, output=graph.here)


@_emit.register
def _(operation: ops.Relu, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Max", inputs[0], graph.constant(0, "int32"), output=graph.here)


@_emit.register
def _(operation: ops.Concat, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Concat", *inputs, axis=1, output=graph.here)


@_emit.register
def _(operation: ops.MaxPool, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """Along the rows and then the columns, a maximum of shifted slices."""
    x, size = inputs[0], proof.shapes[operation.inputs[0]][1:]
    for axis, positions in enumerate(proof.shapes[operation.name][1:]):
        kernel, stride = operation.kernel[axis], operation.stride[axis]
        before, reach = operation.padding[axis], (positions - 1) * stride + kernel
        after = max(0, reach - size[axis] - before)
        pads = np.zeros((2, 4), np.int64)
        pads[:, axis + 2] = before, after
        x = graph.node(
            "Pad", x, graph.constant(pads.ravel()), graph.constant(ops.INT32[0], "int32")
        )
        x, length = _maxima(graph, x, axis + 2, before + size[axis] + after, kernel)
        x = _slice(graph, x, axis + 2, 0, length, stride)
        x = _slice(graph, x, axis + 2, 0, positions, 1)
    return graph.node("Identity", x, output=graph.here)


def _maxima(graph: Graph, x: str, axis: int, length: int, kernel: int) -> tuple[str, int]:
    """Maxima of `kernel` neighbours, by doubling; and how many there are."""
    width = 1
    while width < kernel:
        step = min(width, kernel - width)
        left = _slice(graph, x, axis, 0, length - step, 1)
        right = _slice(graph, x, axis, step, length, 1)
        x, length, width = graph.node("Max", left, right), length - step, width + step
    return x, length


def _slice(graph: Graph, x: str, axis: int, start: int, end: int, step: int) -> str:
    """Rows or columns [start, end), `step` apart."""
    return graph.node("Slice", x, *(graph.constant([n]) for n in (start, end, axis, step)))


@_emit.register(ops.SumPool)
@_emit.register(ops.AdaptiveSumPool)
def _(
    operation: ops.SumPool | ops.AdaptiveSumPool, graph: Graph, proof: Proof, inputs: list[str]
) -> str:
    """A window's sum is the difference of two sums from the first row (or column) on."""
    x = graph.cast(inputs[0], "int64")
    pairs = zip((2, 3), windows(operation, proof.shapes[operation.inputs[0]][1:]), strict=True)
    for axis, window in pairs:
        pads = np.zeros((2, 4), np.int64)
        pads[0, axis] = 1
        padded = graph.node("Pad", x, graph.constant(pads.ravel()), graph.constant(0))
        sums = graph.node("CumSum", padded, graph.constant(axis))
        end = graph.node("Gather", sums, graph.constant(window.end), axis=axis)
        begin = graph.node("Gather", sums, graph.constant(window.begin), axis=axis)
        x = graph.node("Sub", end, begin)
        if window.common > 1:
            x = graph.node("Mul", x, graph.constant(window.factor.reshape(-1, *[1] * (3 - axis))))
    return graph.cast(x, "int32", output=graph.here)


@_emit.register
def _(operation: ops.Lookup, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    cell = graph.node("Sub", inputs[0], graph.constant(operation.lo, "int32"))
    values = graph.constant(operation.values, "int32")
    return graph.node("Gather", values, cell, output=graph.here)


@_emit.register
def _(operation: ops.Multiply, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    x, y = (graph.cast(tensor, "int64") for tensor in inputs)
    ranks = [len(proof.shapes[name]) for name in operation.inputs]
    if ranks[1] < ranks[0]:
        y = graph.node("Unsqueeze", y, graph.constant([2, 3]))
    sizes = [max(-lo, hi) for lo, hi in (proof.ranges[name] for name in operation.inputs)]
    term = Term(graph.node("Mul", x, y), operation.scale, np.array([sizes[0] * sizes[1]]))
    return graph.requantize([term], (operation.lo, operation.hi), ranks[0], graph.here)


@_emit.register
def _(operation: ops.Select, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    kept = operation.channels != ops.ZEROS
    chosen = graph.constant(np.where(kept, operation.channels, 0))
    x = graph.node("Gather", inputs[0], chosen, axis=1, output=graph.here if kept.all() else None)
    if kept.all():
        return x
    column = kept.reshape(-1, *[1] * (len(proof.shapes[operation.name]) - 1))
    return graph.node("Mul", x, graph.constant(column, "int32"), output=graph.here)


@_emit.register
def _(operation: ops.Pad, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    left, right, top, bottom = operation.padding
    pads = graph.constant([0, 0, top, left, 0, 0, bottom, right])
    return graph.node("Pad", inputs[0], pads, graph.constant(0, "int32"), output=graph.here)


@_emit.register
def _(operation: ops.Repeat, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    _, rows, columns = proof.shapes[operation.inputs[0]]
    row, column = (
        graph.constant(np.repeat(np.arange(n), times))
        for n, times in zip((rows, columns), operation.times, strict=True)
    )
    taller = graph.node("Gather", inputs[0], row, axis=2)
    return graph.node("Gather", taller, column, axis=3, output=graph.here)


@_emit.register
def _(operation: ops.Flatten, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Flatten", inputs[0], axis=1, output=graph.here)
