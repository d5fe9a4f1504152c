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
WORD = 4  # bytes of the input that one lane of a dot product takes
WASTE = 1.4  # of products, by padding or on the border, that reading in place may cost
WASTE_STRIDED = 2.5  # gathering what strides skip costs more than reading it in place
LONG_ROW = 4  # shorter ones leave tiles half empty

# In instructions on vectors of 64 bytes, measured: see benchmarks/steps.py --algorithms.
TRANSFORM = {2: (2, 4), 4: (7, 6)}  # of a transformed pixel, for 16 channels of input, of output
CACHE = 2**20  # bytes of weights that are near
FAR, NEAR = 13, 1  # of 64 bytes of weights, beyond the cache and in it


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
            return f"winograd F({self.patch.m},3)"
        return "depthwise" if self.unit == "depthwise" else "direct"


@dataclass(frozen=True)
class Choices:
    """Of each layer that is a matrix product, by name; and the type that stores each tensor."""

    layers: dict[str, Choice]
    types: dict[str, str]


def choose(program: Program, proof: Proof, path: InstructionSet) -> Choices:
    """The fastest way that is proved exact, for each layer."""
    types = {name: storage(values) for name, values in proof.ranges.items()}
    layers = [op for op in program.operations if isinstance(op, Linear) and path.dots]
    if path.pairs:
        units = ((layer, _unit(layer, proof, types, path)) for layer in layers)
        types = _widened(program, types, {x.inputs[0] for x, unit in units if unit == "dot16"})
    found = {layer.name: _choice(layer, proof, types, path) for layer in layers}
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
    operation: Linear, proof: Proof, types: Mapping[str, str], path: InstructionSet
) -> Choice | None:
    unit = _unit(operation, proof, types, path)
    if unit is None:
        return None
    own = unit == "depthwise" or _is_bytes(types[operation.inputs[0]]) == (unit == "dot8")
    if not isinstance(operation, Conv):
        return Choice(unit, own, (0, 0))
    in_place = own and _reads_in_place(operation, unit, proof)
    direct = Choice(unit, in_place, operation.padding if in_place else (0, 0))
    ways = [direct, *_patches(operation, direct, proof, types, path)]
    return min(ways, key=lambda way: _cost(operation, way, proof, path))


def _patches(
    operation: Conv, direct: Choice, proof: Proof, types: Mapping[str, str], path: InstructionSet
) -> Iterator[Choice]:
    """The layer by Winograd's algorithms, as far as the bounds allow."""
    inputs, bound = proof.ranges[operation.inputs[0]], proof.accumulators[operation.name]
    for m, unit in ((2, "dot8"), (4, "dot16")):
        patch = winograd.fits(operation, m, inputs, bound)
        right = m == 4 or (direct.unit == "dot8" and not path.pairs)
        if patch and right and types[operation.inputs[0]] != "int32":
            yield Choice(unit, True, operation.padding, patch)


def _cost(operation: Conv, way: Choice, proof: Proof, path: InstructionSet) -> float:
    """Instructions for an image, as far as ways differ in them, and what waiting for weights is in
    such.
    """
    channels, inputs = operation.weights.codes.shape[:2]
    outputs, wide = -(-channels // BLOCK), winograd.VECTOR // path.vector
    words = -(-inputs * way.item // WORD)
    dots = words * outputs * wide * _instructions(way, path)
    rows, columns = proof.shapes[operation.name][1:]
    if way.patch is None:
        taps = operation.weights.codes[0, 0].size
        return rows * columns * taps * dots + _waiting(taps * words * outputs, 1)
    m, points = way.patch.m, way.patch.side**2
    patches = -(-rows // m) * -(-columns // m)
    if patches < LONG_ROW:
        return inf
    read, written = TRANSFORM[m]
    transforms = (read * inputs / BLOCK + written * outputs) * wide
    passes = -(-patches // winograd.at_once(m, winograd.row(inputs, m)))
    return patches * points * (dots + transforms) + _waiting(points * words * outputs, passes)


def _instructions(way: Choice, path: InstructionSet) -> int:
    """Of a dot product."""
    if path.pairs:
        return 3 if way.unit == "dot8" else 2
    return 4 if path.signed and way.unit == "dot16" else 1


def _waiting(lines: int, passes: int) -> int:
    """For weights of so many lines of 64 bytes, in so many passes."""
    return lines * passes * (FAR if lines * winograd.VECTOR > CACHE else NEAR)


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
        depths.append(number * -(-elements * item // WORD))
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
