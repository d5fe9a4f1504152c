"""How each layer is computed, decided from the proved bounds before memory is planned.

Layers are matrix products where the accumulators are proved to fit int32 and the input 16 bits.
Weights beyond int8 (INQ's +128) are the sum of two int8 planes that meet the same input one after
the other. Where dot products of bytes are not exact (`InstructionSet.pairs`) they are of 16 bits,
and so are the tensors that they read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf

import numpy as np

from dyadic.integer.engines.compiled import winograd
from dyadic.integer.engines.compiled.layout import Border, storage
from dyadic.integer.engines.compiled.rows import as_conv
from dyadic.integer.engines.compiled.sets import InstructionSet
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.operations import Concat, Conv, Flatten, Linear, Program

BLOCK = 16  # output channels side by side
TWO_BYTES = (-256, 254)  # what a sum of two int8 can be
WORD_BYTES = 4  # bytes of the input that one lane of a dot product takes
WASTE = 1.4  # of products, by padding or on the border, that reading in place may cost
WASTE_STRIDED = 2.5  # gathering what strides skip costs more than reading it in place
LONG_ROW = 4  # shorter ones leave tiles half empty

CACHE = 2**20  # bytes of weights that are near

Prices = Mapping[str, float]


@dataclass(frozen=True)
class Choice:
    """How a layer is to be computed.

    unit      "dot8", "dot16" (bytes, or 16-bit integers) or "depthwise"
    in_place  whether the input is read where it is, with `border` zeros around it, or gathered
    patch     by Winograd's algorithm, or None
    """

    unit: str
    in_place: bool
    border: Border
    patch: winograd.Patch | None = None

    @property
    def item(self) -> int:
        """Bytes of an input element in a word."""
        return 1 if self.unit == "dot8" else 2

    @property
    def algorithm(self) -> str:
        """The name that reports give it."""
        if self.patch:
            return self.patch.algorithm.name
        return "depthwise" if self.unit == "depthwise" else "direct"


@dataclass(frozen=True)
class Choices:
    """Of each layer that is a matrix product, by name; and the type that stores each tensor."""

    layers: dict[str, Choice]
    types: dict[str, str]


def choose(
    program: Program, proof: Proof, path: InstructionSet, prices: Prices | None = None
) -> Choices:
    """The fastest way that is proved exact, for each layer; `path.prices` if none are given."""
    types = {name: storage(values) for name, values in proof.ranges.items()}
    layers = [op for op in program.operations if isinstance(op, Linear) and path.dots]
    if path.pairs:
        units = ((layer, _unit(layer, proof, types, path)) for layer in layers)
        types = _widened(program, types, {x.inputs[0] for x, unit in units if unit == "dot16"})
    prices = prices or path.prices
    found = {layer.name: _choice(layer, proof, types, path, prices) for layer in layers}
    return Choices({name: choice for name, choice in found.items() if choice}, types)


def _widened(program: Program, types: dict[str, str], wide: set[str]) -> dict[str, str]:
    """Bytes as 16 bits for these tensors, and for those that share memory with them."""
    types = {n: "int16" if n in wide and _is_bytes(t) else t for n, t in types.items()}
    shared = [op for op in program.operations if isinstance(op, Concat | Flatten)]
    changed = True
    while changed:
        changed = False
        for operation in shared:
            names = {operation.name, *operation.inputs}
            if any(types[name] == "int16" for name in names):
                narrow = {name for name in names if _is_bytes(types[name])}
                types.update(dict.fromkeys(narrow, "int16"))
                changed |= bool(narrow)
    return types


def _is_bytes(dtype: str) -> bool:
    return dtype in ("uint8", "int8")


def _choice(
    operation: Linear, proof: Proof, types: Mapping[str, str], path: InstructionSet, prices: Prices
) -> Choice | None:
    unit = _unit(operation, proof, types, path)
    if unit is None:
        return None
    own = unit == "depthwise" or _is_bytes(types[operation.inputs[0]]) == (unit == "dot8")
    if not isinstance(operation, Conv):
        return Choice(unit, own, (0, 0))
    in_place = own and _reads_in_place(operation, unit, proof)
    direct = Choice(unit, in_place, operation.padding if in_place else (0, 0))
    patches = list(_patches(operation, proof, types, path))
    if not patches:
        return direct
    return min([direct, *patches], key=lambda way: cost(parts(operation, way, proof, path), prices))


def _patches(
    operation: Conv, proof: Proof, types: Mapping[str, str], path: InstructionSet
) -> Iterator[Choice]:
    """The layer by Winograd's algorithms, as far as the bounds allow."""
    name, bound = operation.inputs[0], proof.accumulators[operation.name]
    for patch in winograd.patches(operation, proof.ranges[name], bound):
        unit = patch.algorithm.unit
        bytes_fit = _is_bytes(types[name]) and (not path.pairs or 2 * patch.product < 2**15)
        if bytes_fit if unit == "dot8" else types[name] != "int32":
            yield Choice(unit, True, operation.padding, patch)


def cost(counted: Mapping[str, float], prices: Prices) -> float:
    """What so much of everything costs."""
    return sum(count * prices[part] for part, count in counted.items())


def parts(operation: Conv, way: Choice, proof: Proof, path: InstructionSet) -> dict[str, float]:
    """How much of everything that has a price a layer takes for an image.

    Of patches shorter than a tile there would be more padding than products: they are beyond price.
    """
    channels, inputs = operation.weights.codes.shape[:2]
    outputs, wide = -(-channels // BLOCK), winograd.VECTOR // path.vector
    words = -(-inputs * way.item // WORD_BYTES)
    rows, columns = proof.shapes[operation.name][1:]
    made = {"finished": rows * columns * outputs * wide}
    if way.patch is None:
        lines, passes = operation.weights.codes[0, 0].size * words * outputs, 1
        return made | {way.unit: rows * columns * lines * wide, "far": _far(lines, passes)}
    side, points = way.patch.points, way.patch.points**2
    patches = -(-rows // way.patch.m) * -(-columns // way.patch.m)
    lines, passes = points * words * outputs, -(-patches // way.patch.at_once(inputs))
    return made | {
        way.unit: patches * lines * wide if patches >= LONG_ROW else inf,
        f"read{side}": patches * points * wide * inputs / BLOCK,
        f"written{side}": patches * points * wide * outputs,
        "far": _far(lines, passes),
    }


def _far(lines: int, passes: int) -> int:
    """Lines of 64 bytes of weights that come from far: once, or as often as the cache has no room
    for them all.
    """
    return lines * (passes if lines * winograd.VECTOR > CACHE else 1)


def _reads_in_place(operation: Conv, unit: str, proof: Proof) -> bool:
    """Whether that wastes little."""
    if unit == "depthwise" or operation.groups > 1:
        return True
    made, plain = proof.shapes[operation.name][2], operation.stride == (1, 1)
    limit = WASTE if plain else WASTE_STRIDED
    point = plain and operation.weights.codes.shape[2:] == (1, 1) and operation.padding == (0, 0)
    return (point or made >= LONG_ROW) and _waste(operation, unit) <= limit


def _waste(operation: Conv, unit: str) -> float:
    """Depth of the products in place, padded, relative to the depth after gathering."""
    item = 1 if unit == "dot8" else 2
    depths = []
    for in_place in (True, False):
        number, elements = stretches(operation, in_place, dense=True)
        depths.append(number * -(-elements * item // WORD_BYTES))
    return depths[0] / depths[1]


def stretches(operation: Linear, in_place: bool, dense: bool) -> tuple[int, int]:
    """Stretches of the depth and elements of each: the whole, a kernel row each, or a tap each."""
    inputs, height, width = as_conv(operation.weights.codes).shape[1:]
    if not in_place:
        return 1, height * width * inputs
    if dense and (not isinstance(operation, Conv) or operation.dilation[1] == 1):
        return height, width * inputs
    return height * width, inputs


def _unit(
    operation: Linear, proof: Proof, types: Mapping[str, str], path: InstructionSet
) -> str | None:
    """The unit whose types hold the input and the weights; None where none does."""
    bound, dtype = proof.accumulators[operation.name], types[operation.inputs[0]]
    if bound.split or bound.dtype != "int32" or dtype == "int32":
        return None
    planes = operation.weights.planes
    lo, hi = min(int(p.min()) for p in planes), max(int(p.max()) for p in planes)
    short = lo >= -(2**15) and hi < 2**15
    if is_depthwise(operation):
        return "depthwise" if short else None
    small = _is_bytes(dtype) and TWO_BYTES[0] <= lo and hi <= TWO_BYTES[1]
    if small and (not path.pairs or _pairs_fit(proof.ranges[operation.inputs[0]], lo, hi)):
        return "dot8"
    return "dot16" if short else None


def _pairs_fit(inputs: tuple[int, int], lo: int, hi: int) -> bool:
    """Whether two products fit 16 bits: of int8 weights with unsigned bytes, signed ones + 128."""
    largest = inputs[1] if inputs[0] >= 0 else inputs[1] + 128
    weight = min(max(-lo, hi), 128)
    return 2 * largest * weight < 2**15


def is_depthwise(operation: Linear) -> bool:
    """Whether every output channel sees the one input channel of its own place."""
    if not isinstance(operation, Conv) or operation.groups == 1:
        return False
    return operation.weights.codes.shape[:2] == (operation.groups, 1)


def fits(plane: np.ndarray, dtype: str) -> bool:
    """Whether the type holds all values."""
    limits = np.iinfo(dtype)
    return bool(limits.min <= plane.min() and plane.max() <= limits.max)
