"""An ONNX graph of integers, node by node, and the arithmetic that ONNX has no operator for.

Operators of opset 18 alone, on int64, int32, uint64 and uint8 tensors; no float and no division.
And no Min, Max, Clip, Sign or comparison of int64: ONNX Runtime's are wrong for some numbers beyond
32 bits (Eigen's 64-bit comparison on SSE; microsoft/onnxruntime pull request 25280). Shifts and
bitwise operators are not, so signs are read from the bits.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dyadic.integer.program.dyadic import WORD, plain_limit
from dyadic.integer.program.operations import INT32, Dyadic

OPSET, IR_VERSION = 18, 9  # the first with bitwise operators; ONNX Runtime 1.14 and later
ONNX_TYPES = {
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint64": TensorProto.UINT64,
}


@dataclass(frozen=True)
class Term:
    """An int64 accumulator tensor, its dyadic numbers, and its largest magnitude, [1] or [C]."""

    acc: str
    scale: Dyadic
    largest: np.ndarray

    @property
    def product(self) -> np.ndarray:
        """Largest |acc * b|, in Python integers (it may pass 64 bits)."""
        return self.largest.astype(object) * np.abs(self.scale.b).astype(object)


class Graph:
    """Nodes and constants in the making; tensors are named, new ones after the operation `here`."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.here = ""

    def node(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; returns its output's name."""
        output = output or f"{self.here}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, value: Any, kind: str = "int64") -> str:
        """A constant tensor, stored once however often it is used."""
        array = np.ascontiguousarray(value, dtype=kind)
        key = f"{self.here}/constant{len(self.constants)}"
        self.constants[key] = numpy_helper.from_array(array, key)
        return key

    def cast(self, x: str, kind: str, output: str | None = None) -> str:
        """Another integer type; values that do not fit keep their low bits."""
        return self.node("Cast", x, to=ONNX_TYPES[kind], output=output)

    def total(self, terms: list[str]) -> str:
        """The sum of tensors of one type."""
        result = terms[0]
        for term in terms[1:]:
            result = self.node("Add", result, term)
        return result

    def clamp(self, x: str, lo: int, hi: int, output: str | None = None) -> str:
        """`min(max(x, lo), hi)` of int32."""
        ends = (self.constant(lo, "int32"), self.constant(hi, "int32"))
        return self.node("Clip", x, *ends, output=output)

    def shift_right(self, x: str, count: np.ndarray | int) -> str:
        """`x >> count` of int64, rounding down, although ONNX shifts unsigned numbers only.

        The sign bit lands at s = 2^(63 - count); (y ^ s) - s copies it upwards.
        """
        s = (np.uint64(1) << np.uint64(63) - np.asarray(count, np.uint64)).view(np.int64)
        y = self.node("BitwiseXor", self.logical_shift(x, count), self.constant(s))
        return self.node("Sub", y, self.constant(s))

    def logical_shift(self, x: str, count: np.ndarray | int) -> str:
        """The bits of int64 x moved to the right, zeros following."""
        bits = self.constant(count, "uint64")
        shifted = self.node("BitShift", self.cast(x, "uint64"), bits, direction="RIGHT")
        return self.cast(shifted, "int64")

    def saturate(self, x: str) -> str:
        """`clamp(x, -2^31, 2^31 - 1)` of int64, by bits.

        d = (x >> 31) ^ (x >> 63), 0 <= d < 2^32, is 0 where x fits; then (d + 2^32 - 1) >> 32 is 0,
        else 1, which times -1 selects between x and the end on its side, (x >> 63) ^ (2^31 - 1).
        """
        sign = self.shift_right(x, 63)
        d = self.node("BitwiseXor", self.shift_right(x, 31), sign)
        beyond = self.logical_shift(self.node("Add", d, self.constant(2**32 - 1)), 32)
        select = self.node("Mul", beyond, self.constant(-1))
        end = self.node("BitwiseXor", sign, self.constant(INT32[1]))
        change = self.node("BitwiseAnd", self.node("BitwiseXor", x, end), select)
        return self.node("BitwiseXor", x, change)

    def requantize(self, terms: list[Term], clamp: tuple[int, int], rank: int, output: str) -> str:
        """`clamp((sum of acc * b + 2**(c - 1)) >> c, lo, hi)` as an int32 tensor of that rank.

        acc * b passes through two words where it may pass 64 bits (`dyadic.requantize`).
        """
        column, c = (1, -1, *[1] * (rank - 1)), terms[0].scale.c
        half = self.constant(((1 << c) >> 1).reshape(column))
        factors = [self.constant(term.scale.b.reshape(column)) for term in terms]
        accumulators = [term.acc for term in terms]
        if max(term.largest.max() for term in terms) <= plain_limit(len(terms)):
            total = self.node("Add", self._dot(accumulators, factors), half)
            result = self.shift_right(total, c.reshape(column))
        else:
            s = np.minimum(c, WORD)
            total = self._split_total(accumulators, factors, half, s.reshape(column))
            result = self.shift_right(total, (c - s).reshape(column))
        # 2^c more than the products covers the rounding.
        reach = (sum(term.product for term in terms) + (1 << c)) >> c
        if reach.max() > INT32[1]:
            result = self.saturate(result)
        return self.clamp(self.cast(result, "int32"), *clamp, output=output)

    def _split_total(
        self, accumulators: list[str], factors: list[str], half: str, s: np.ndarray
    ) -> str:
        """`(sum of acc * b + half) >> s`, each acc = high * 2^s + low."""
        mask = self.constant((1 << s) - 1)
        high = [self.shift_right(acc, s) for acc in accumulators]
        low = [self.node("BitwiseAnd", acc, mask) for acc in accumulators]
        products = [self.node("Mul", a, b) for a, b in zip(low, factors, strict=True)]
        dropped = [self.node("BitwiseAnd", product, mask) for product in products]
        carry = self.shift_right(self.total([*dropped, half]), s)
        kept = [self.shift_right(product, s) for product in products]
        return self.total([self._dot(high, factors), *kept, carry])

    def _dot(self, accumulators: list[str], factors: list[str]) -> str:
        products = zip(accumulators, factors, strict=True)
        return self.total([self.node("Mul", a, b) for a, b in products])

    def model(
        self, name: str, input_shape: tuple[int, ...], outputs: dict[str, tuple[int, ...]], doc: str
    ) -> onnx.ModelProto:
        """The finished model: uint8 "input" [N, C, H, W] to int32 outputs [N, ...]."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info("input", TensorProto.UINT8, ["N", *input_shape])],
            [
                helper.make_tensor_value_info(key, TensorProto.INT32, ["N", *shape])
                for key, shape in outputs.items()
            ],
            list(self.constants.values()),
        )
        opset = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph,
            opset_imports=opset,
            ir_version=IR_VERSION,
            producer_name="dyadic",
            doc_string=doc,
        )
