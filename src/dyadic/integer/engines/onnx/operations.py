"""A program's operations as nodes of an ONNX graph, integer operators alone.

Convolutions and matrix products are ConvInteger and MatMulInteger, whose operands have 8 bits:
wider ones are split into digits, `x + z = sum 256^j x_j` (0 <= x_j <= 255, z makes x + z >= 0 and
gives each digit its zero point) and `w = sum 128^i w_i` (-64 <= w_i <= 63). Two 16-bit sums of such
products cannot saturate, as they may in 8-bit kernels on CPUs without a dot product instruction.
Weights are stored unsigned, w_i + 64 with the zero point 64: ONNX Runtime's convolution is four
times as fast on them as on signed ones.
"""

from functools import singledispatch

import numpy as np
import onnx

from dyadic.integer.engines.onnx.graph import Graph, Term
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import (
    INT32,
    Add,
    Concat,
    Conv,
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
)
from dyadic.integer.program.requirements import require

WEIGHT_ZERO = 64
MOST_PRODUCTS = 2**31 // (255 * 64)  # that one int32 sum of digit products holds
UNREACHED = 2**40  # a threshold above every int32


def build(program: Program, outputs: list[str] | None = None) -> onnx.ModelProto:
    """The ONNX model of a program; `outputs` names the tensors it returns, default the logits."""
    proof, graph = prove(program), Graph()
    graph.here = "pixels"
    tensors = {"input": graph.cast("input", "int32")}
    for operation in program.operations:
        graph.here = operation.name
        inputs = [tensors[name] for name in operation.inputs]
        tensors[operation.name] = _emit(operation, graph, proof, inputs)
    names = outputs or [program.operations[-1].name]
    shapes = {name: proof.shapes[name] for name in names}
    return graph.model(program.name, program.input_shape, shapes, program.note)


@singledispatch
def _emit(operation: Operation, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """Add the nodes of an operation on int32 tensors; its int32 tensor is named after it."""
    raise TypeError(f"{type(operation).__name__} is no operation of a program")


@_emit.register
def _(operation: Normalize, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    pixels = graph.node("Mul", graph.cast(inputs[0], "int64"), graph.constant(256))
    acc = graph.node("Add", pixels, graph.constant(operation.bias.reshape(1, -1, 1, 1)))
    term = Term(acc, operation.scale, np.abs(operation.bias) + 256 * 255)
    return graph.requantize([term], (operation.lo, operation.hi), 3, operation.name)


@_emit.register
def _(operation: Linear, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    rank = len(proof.shapes[operation.name])
    digits = _input_digits(graph, inputs[0], proof.ranges[operation.inputs[0]])
    planes = [_accumulate(operation, graph, digits, plane) for plane in operation.weights.planes]
    bias = graph.constant(operation.bias.reshape(1, -1, *[1] * (rank - 1)))
    planes[0] = graph.node("Add", planes[0], bias)
    scales = [operation.scale] if operation.odd is None else [operation.scale, operation.odd]
    bound = proof.accumulators[operation.name]
    largest = np.maximum(-bound.lo, bound.hi)
    terms = [Term(*parts) for parts in zip(planes, scales, largest, strict=True)]
    return graph.requantize(terms, (operation.lo, operation.hi), rank, operation.name)


def _input_digits(graph: Graph, x: str, span: tuple[int, int]) -> list[tuple[str, str]]:
    """uint8 digits of x + z in base 256, lowest first, each with its zero point, a digit of z."""
    z = max(0, -span[0])
    if z == 0 and span[1] <= 255:
        return [(graph.cast(x, "uint8"), graph.constant(0, "uint8"))]
    wide = graph.node("Add", graph.cast(x, "int64"), graph.constant(z))
    count = max(1, -(-(max(span[1], 0) + z).bit_length() // 8))
    digits = []
    for j in range(count):
        shifted = wide if j == 0 else graph.shift_right(wide, 8 * j)
        low = graph.node("BitwiseAnd", shifted, graph.constant(255)) if count > 1 else shifted
        zero = graph.constant(z >> 8 * j & 255, "uint8")
        digits.append((graph.cast(low, "uint8"), zero))
    return digits


def weight_digits(weights: np.ndarray) -> list[np.ndarray]:
    """Balanced digits in base 128, lowest first: `w = sum 128^i w_i`, -64 <= w_i <= 63, int8.

    >>> [digit.tolist() for digit in weight_digits(np.array([127, -128, 5]))]
    [[-1, 0, 5], [1, -1, 0]]
    """
    digits, rest = [], weights
    while not digits or rest.any():
        digit = ((rest + 64) & 127) - 64
        digits.append(digit.astype(np.int8))
        rest = (rest - digit) >> 7
    return digits


def _accumulate(
    operation: Linear, graph: Graph, inputs: list[tuple[str, str]], weights: np.ndarray
) -> str:
    """The int64 sums of products, all digits of the inputs with all digits of the weights."""
    products = weights[0].size
    require(products <= MOST_PRODUCTS, operation, f"ONNX: {products} products, {MOST_PRODUCTS} fit")
    terms = []
    for i, digit in enumerate(weight_digits(weights)):
        transposed = digit if isinstance(operation, Conv) else digit.T
        w = graph.constant(transposed.astype(np.int16) + WEIGHT_ZERO, "uint8")
        for j, (x, zero) in enumerate(inputs):
            term = graph.cast(_product(operation, graph, x, w, zero), "int64")
            place = 1 << 7 * i + 8 * j
            terms.append(term if place == 1 else graph.node("Mul", term, graph.constant(place)))
    return graph.total(terms)


def _product(operation: Linear, graph: Graph, x: str, w: str, zero: str) -> str:
    """Int32 sums of (x - zero) * (w - 64); the padding is x = zero."""
    operands = (x, w, zero, graph.constant(WEIGHT_ZERO, "uint8"))
    if not isinstance(operation, Conv):
        return graph.node("MatMulInteger", *operands)
    return graph.node(
        "ConvInteger",
        *operands,
        strides=operation.stride,
        pads=operation.padding * 2,
        dilations=operation.dilation,
        group=operation.groups,
    )


@_emit.register
def _(operation: Requantize, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    lo, hi = proof.ranges[operation.inputs[0]]
    acc, rank = graph.cast(inputs[0], "int64"), len(proof.shapes[operation.name])
    term = Term(acc, operation.scale, np.array([max(-lo, hi)]))
    return graph.requantize([term], (operation.lo, operation.hi), rank, operation.name)


@_emit.register
def _(operation: Threshold, graph: Graph, proof: Proof, inputs: list[str]) -> str:
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
    return graph.node("Gather", values, cell, output=operation.name)


@_emit.register
def _(operation: Add, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    total = graph.node("Add", *inputs)
    return graph.clamp(total, operation.lo, operation.hi, output=operation.name)


@_emit.register
def _(operation: Relu, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Max", inputs[0], graph.constant(0, "int32"), output=operation.name)


@_emit.register
def _(operation: Concat, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Concat", *inputs, axis=1, output=operation.name)


@_emit.register(MaxPool)
@_emit.register(SumPool)
def _(operation: MaxPool | SumPool, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """Shifted slices, joined along the rows and then along the columns; any integer width."""
    largest = isinstance(operation, MaxPool)
    positions = proof.shapes[operation.name][1:]
    reach = [
        (n - 1) * s + k
        for n, s, k in zip(positions, operation.stride, operation.kernel, strict=True)
    ]
    size = proof.shapes[operation.inputs[0]][1:]
    after = [max(0, r - n - p) for r, n, p in zip(reach, size, operation.padding, strict=True)]
    pads = graph.constant([0, 0, *operation.padding, 0, 0, *after])
    x = graph.node("Pad", inputs[0], pads, graph.constant(INT32[0] if largest else 0, "int32"))
    for axis in (0, 1):
        windows = [
            _slice(graph, x, axis + 2, offset, operation.stride[axis], positions[axis])
            for offset in range(operation.kernel[axis])
        ]
        x = graph.node("Max", *windows) if largest else graph.total(windows)
    return graph.node("Identity", x, output=operation.name)


def _slice(graph: Graph, x: str, axis: int, start: int, step: int, count: int) -> str:
    """`count` rows or columns from `start` on, `step` apart."""
    end = start + (count - 1) * step + 1
    return graph.node("Slice", x, *(graph.constant([n]) for n in (start, end, axis, step)))


@_emit.register
def _(operation: Repeat, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    _, rows, columns = proof.shapes[operation.inputs[0]]
    row, column = (
        graph.constant(np.repeat(np.arange(n), times))
        for n, times in zip((rows, columns), operation.times, strict=True)
    )
    taller = graph.node("Gather", inputs[0], row, axis=2)
    return graph.node("Gather", taller, column, axis=3, output=operation.name)


@_emit.register
def _(operation: Flatten, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    return graph.node("Flatten", inputs[0], axis=1, output=operation.name)
