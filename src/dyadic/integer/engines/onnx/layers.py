"""Convolutions and matrix products as nodes of an ONNX graph.

They are ConvInteger and MatMulInteger, whose operands have 8 bits:
wider ones are split into digits, `x + z = sum 256^j x_j` (0 <= x_j <= 255, z makes x + z >= 0 and
gives each digit its zero point) and `w = 2^t sum 128^i w_i` (-64 <= w_i <= 63; 2^t divides all of
them, so weights of few bits are one digit). Two 16-bit sums of such products cannot saturate, as
they may in 8-bit kernels on CPUs without a dot product instruction.
Weights are stored unsigned, w_i + 64 with the zero point 64: ONNX Runtime's convolution is four
times as fast on them as on signed ones.
"""

import numpy as np

from dyadic.integer.engines.onnx.graph import Graph, Term
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.operations import INT32, Conv, Linear
from dyadic.integer.program.requirements import require

WEIGHT_ZERO = 64
LARGEST_DIGIT = 255  # of an input, and its distance from the zero point


def layer(operation: Linear, graph: Graph, proof: Proof, inputs: list[str]) -> str:
    """The nodes of a convolution or a fully connected layer."""
    rank = len(proof.shapes[operation.name])
    digits = _input_digits(graph, inputs[0], proof.ranges[operation.inputs[0]])
    planes = [_accumulate(operation, graph, digits, plane) for plane in operation.weights.planes]
    bias = graph.constant(operation.bias.reshape(1, -1, *[1] * (rank - 1)))
    planes[0] = graph.node("Add", planes[0], bias)
    scales = [operation.scale] if operation.odd is None else [operation.scale, operation.odd]
    bound = proof.accumulators[operation.name]
    largest = np.maximum(-bound.lo, bound.hi)
    terms = [Term(*parts) for parts in zip(planes, scales, largest, strict=True)]
    return graph.requantize(terms, (operation.lo, operation.hi), rank, graph.here)


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


def common_shift(weights: np.ndarray) -> int:
    """The t of the largest power of two 2^t that divides all weights; 0 where all are 0.

    >>> common_shift(np.array([-64, 0, 32]))
    5
    """
    bits = int(np.bitwise_or.reduce(np.abs(weights), axis=None))
    return (bits & -bits).bit_length() - 1 if bits else 0


def _accumulate(
    operation: Linear, graph: Graph, inputs: list[tuple[str, str]], weights: np.ndarray
) -> str:
    """The int64 sums of products, all digits of the inputs with all digits of the weights."""
    terms, t = [], common_shift(weights)
    for i, digit in enumerate(weight_digits(weights >> t)):
        sizes = np.abs(digit.reshape(len(digit), -1).astype(np.int64)).sum(1)
        reach = LARGEST_DIGIT * int(sizes.max())
        require(reach <= INT32[1], operation, f"ONNX: a sum of digits of {reach} leaves int32")
        transposed = digit if isinstance(operation, Conv) else digit.T
        w = graph.constant(transposed.astype(np.int16) + WEIGHT_ZERO, "uint8")
        for j, (x, zero) in enumerate(inputs):
            term = graph.cast(_product(operation, graph, x, w, zero), "int64")
            place = 1 << t + 7 * i + 8 * j
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
