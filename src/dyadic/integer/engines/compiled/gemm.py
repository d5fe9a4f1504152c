"""Layers as matrix products on 8- or 16-bit dot products: what `dy_gemm` needs.

Which layers: one group, int32 accumulators, an input of at most 16 bits. Weights beyond int8 (INQ's
+128) are the sum of two int8 planes that meet the same input one after the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dyadic.integer.engines.compiled.layout import Border, Slot, storage
from dyadic.integer.engines.compiled.rows import as_conv
from dyadic.integer.program.bounds import Accumulator, Proof
from dyadic.integer.program.operations import Conv, Linear, Requantize

BLOCK = 16  # output channels side by side
TWO_BYTES = (-256, 254)  # what a sum of two int8 can be
WORD = 4  # bytes of the input that one lane of a dot product takes
GATHER_BYTES = 2**18
LOW_WORD = 32  # bits of a product that high words lack
HIGH = LOW_WORD + 1  # least c for which high words are enough: what rounds is one of them
SPARE_ROWS = 32  # a tile may read beyond the last gathered row
WASTE = 1.4  # of products, by padding or on the border, that reading in place may cost
WASTE_STRIDED = 2.5  # gathering what strides skip costs more than reading it in line
LONG_ROW = 4  # shorter ones leave tiles half empty


@dataclass(frozen=True)
class Lanes:
    """b and c, int32 [n], one for each lane, and the shift `up` that makes every c at least 33.

    high  whether it does, and |x| << up fits int32: then the products' high words are enough,
          since `(x * b + 2**(c - 1)) >> c` is `((x << u) * b + 2**(c + u - 1)) >> (c + u)`, and
          c counts from 32 on
    """

    b: np.ndarray
    c: np.ndarray
    up: np.ndarray
    high: bool
    lo: int
    hi: int

    @property
    def rounds(self) -> np.ndarray:
        """What rounds half up, in high words."""
        return 1 << (self.c - 1)

    @classmethod
    def of(cls, operation: Linear | Requantize, lanes: int, largest: int) -> "Lanes":
        """A scale spread over so many lanes, for |x| <= largest; c counts only where b is not 0."""
        scale, odd = operation.scale, isinstance(operation, Linear) and operation.odd is not None
        b = spread(scale.b, lanes)
        c = spread(scale.c if odd else np.where(scale.b == 0, HIGH, scale.c), lanes, fill=HIGH)
        up = (HIGH - c).clip(0)
        high = not odd and largest << int(up.max()) < 2**31
        c, up = (c + up - LOW_WORD, up) if high else (c, np.zeros_like(up))
        return cls(b, c, up, high, operation.lo, operation.hi)


@dataclass(frozen=True)
class Choice:
    """How a layer is to be computed, decided before memory is planned.

    unit      "vnni8" or "vnni16"
    in_place  whether the input is read where it is, with `border` zeros around it, or gathered
    """

    unit: str
    in_place: bool
    border: Border


@dataclass(frozen=True)
class Gemm:
    """A packed layer.

    flip       signed input as unsigned, 128 higher; the bias takes 128 * sum(w) off again
    planes     weights [blocks, words, BLOCK, WORD bytes]; a second one for sqrt(2)
    stretches  int64 [n, 2]: offset in bytes from a pixel, length in words
    """

    choice: Choice
    flip: bool
    planes: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    lanes: Lanes
    stretches: np.ndarray

    @property
    def blocks(self) -> int:
        """Blocks of output channels."""
        return self.planes[0].shape[0]

    @property
    def words(self) -> int:
        """Depth in words."""
        return self.planes[0].shape[1]

    @property
    def row(self) -> int:
        """Bytes of a gathered row."""
        return WORD * int(self.stretches[0, 1])

    @property
    def limit(self) -> int:
        """Positions whose gathered input stays in the cache."""
        return max(SPARE_ROWS, GATHER_BYTES // self.row)

    @property
    def scratch(self) -> int:
        """Bytes of gathered input."""
        return 0 if self.choice.in_place else (self.limit + SPARE_ROWS) * self.row


def spread(values: np.ndarray, lanes: int, fill: int = 0) -> np.ndarray:
    """One value for all lanes, or one a channel and `fill` up to whole blocks."""
    if len(values) == 1:
        return np.full(lanes, values[0])
    return np.concatenate([values, np.full(lanes - len(values), fill)])


def choose(operation: Linear, proof: Proof, units: Sequence[str]) -> Choice | None:
    """The first unit that can compute the layer, and how; None if no unit can."""
    dtype = storage(proof.ranges[operation.inputs[0]])
    unit = _unit(operation, proof.accumulators[operation.name], dtype, units)
    if unit is None:
        return None
    own = (dtype == "int16") == (unit == "vnni16")
    if not isinstance(operation, Conv):
        return Choice(unit, own, (0, 0))
    in_place = own and _reads_in_place(operation, unit, proof)
    return Choice(unit, in_place, operation.padding if in_place else (0, 0))


def _reads_in_place(operation: Conv, unit: str, proof: Proof) -> bool:
    """Whether that wastes little."""
    made, plain = proof.shapes[operation.name][2], operation.stride == (1, 1)
    limit = WASTE if plain else WASTE_STRIDED
    point = plain and operation.weights.codes.shape[2:] == (1, 1) and operation.padding == (0, 0)
    return (point or made >= LONG_ROW) and _waste(operation, unit) <= limit


def pack(operation: Linear, choice: Choice, source: Slot, largest: int) -> Gemm:
    """The layer for the place where its input lives; no accumulator is beyond `largest`."""
    planes = tuple(as_conv(plane) for plane in operation.weights.planes)
    rows = _rows(operation, choice.in_place, dense=source.stride == source.shape[0])
    item = 2 if choice.unit == "vnni16" else 1
    copies = 1 if item == 2 or all(_fits(plane, "int8") for plane in planes) else 2
    packed = tuple(_pack(plane, rows, item, copies) for plane in planes)
    flip = choice.unit == "vnni8" and source.dtype == "int8"
    lanes = len(packed[0]) * BLOCK
    offsets = _offsets(operation, rows, source) if choice.in_place else np.zeros(1, int)
    words = np.full(len(offsets) * copies, packed[0].shape[1] // (len(offsets) * copies))
    return Gemm(
        choice,
        flip,
        packed,
        tuple(_bias(operation, index, plane, flip, lanes) for index, plane in enumerate(planes)),
        Lanes.of(operation, lanes, largest),
        np.stack([np.tile(offsets, copies), words], axis=1),
    )


def _unit(operation: Linear, bound: Accumulator, dtype: str, units: Sequence[str]) -> str | None:
    """The first of `units` whose types hold the input and the weights."""
    grouped = isinstance(operation, Conv) and operation.groups > 1
    if grouped or bound.split or bound.dtype != "int32" or dtype == "int32":
        return None
    planes = operation.weights.planes
    lo, hi = min(int(p.min()) for p in planes), max(int(p.max()) for p in planes)
    small = dtype != "int16" and TWO_BYTES[0] <= lo and hi <= TWO_BYTES[1]
    fits = {"vnni16": all(_fits(plane, "int16") for plane in planes)}
    return next((unit for unit in units if fits.get(unit, small)), None)


def _fits(plane: np.ndarray, dtype: str) -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= plane.min() and plane.max() <= limits.max)


def _waste(operation: Conv, unit: str) -> float:
    """Depth of the products in place, padded, relative to the depth after gathering."""
    item = 2 if unit == "vnni16" else 1
    depths = []
    for in_place in (True, False):
        number, elements = _rows(operation, in_place, dense=True)
        depths.append(number * -(-elements * item // WORD))
    return depths[0] / depths[1]


def _rows(operation: Linear, in_place: bool, dense: bool) -> tuple[int, int]:
    """Stretches of the depth and elements of each: the whole, a kernel row each, or a tap each."""
    inputs, height, width = as_conv(operation.weights.codes).shape[1:]
    if not in_place:
        return 1, height * width * inputs
    if dense and (not isinstance(operation, Conv) or operation.dilation[1] == 1):
        return height, width * inputs
    return height * width, inputs


def _offsets(operation: Linear, rows: tuple[int, int], source: Slot) -> np.ndarray:
    """Bytes from a pixel to the begin of each stretch."""
    if not isinstance(operation, Conv):
        return np.zeros(1, int)
    height, width = operation.weights.codes.shape[2:]
    y = np.arange(height) * operation.dilation[0] - operation.padding[0]
    x = np.arange(width) * operation.dilation[1] - operation.padding[1]
    taps = y[:, None] * source.pitch + x * source.stride
    return (taps if rows[0] == height * width else taps[:, 0]).flatten() * source.itemsize


def _pack(plane: np.ndarray, rows: tuple[int, int], item: int, copies: int) -> np.ndarray:
    """[O, I, kh, kw] to [blocks, words, BLOCK, elements of a word], zeros where it is padded."""
    first = plane.clip(-128, 127) if copies == 2 else plane
    parts = [first, plane - first][:copies]
    outputs = len(plane)
    depth = [part.transpose(0, 2, 3, 1).reshape(outputs, *rows) for part in parts]
    padding = (0, -outputs % BLOCK), (0, 0), (0, -(rows[1] * item) % WORD // item)
    table = np.pad(np.concatenate(depth, axis=1), padding).astype(f"int{8 * item}")
    blocks = table.reshape(-1, BLOCK, table[0].size * item // WORD, WORD // item)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def _bias(operation: Linear, index: int, plane: np.ndarray, flip: bool, lanes: int) -> np.ndarray:
    """int32 [lanes] modulo 2^32, which is how the sums are added up: only their end must fit."""
    bias = operation.bias if index == 0 else np.zeros_like(operation.bias)
    flipped = 128 * plane.reshape(len(plane), -1).sum(1) if flip else 0
    shifted = bias - flipped
    return np.concatenate([shifted, np.zeros(lanes - len(bias), np.int64)]).astype(np.int32)
