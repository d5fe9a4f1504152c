"""Winograd's convolution of 3 x 3 on integers: what the proved bounds allow, and its weights.

`Y = A' [(G w G') * (B' d B)] A` with B' and G of integers. Direct products take 9 for an output,
F(2 x 2) 16 for 4, F(4 x 4) 36 for 16. Lavin and Gray, Fast Algorithms for Convolutional Neural
Networks, 2015. In bytes F(4 x 4) has the points 0, 1, -1, infinity and i, whose product of complex
numbers is three of integers: 49 for 16, and no number in B' and G but 1 and -1.

Exact while (dyadic_winograd.c takes sums modulo 2^32)
  in bytes    each point of B'dB spans at most 256 values, and G w G' fits int8
  in 16 bits  B'dB and G w G' fit int16
and `multiple` times the sum fits 32 bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dyadic.integer.program.bounds import Accumulator, Range
from dyadic.integer.program.operations import Conv


@dataclass(frozen=True)
class Algorithm:
    """F(m x m, 3 x 3).

    name      for reports
    unit      of its products, "dot8" or "dot16"
    inputs    B' [points, m + 2]
    weights   G [points, 3], as A in dyadic_winograd.c wants it
    multiple  of the sum that is made, the least power of two before it is divided
    """

    name: str
    m: int
    unit: str
    inputs: np.ndarray
    weights: np.ndarray
    multiple: int

    @property
    def points(self) -> int:
        """Of a patch, along an axis."""
        return len(self.inputs)


ALGORITHMS = (
    Algorithm(
        "winograd F(2,3)",
        2,
        "dot8",
        np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]),
        4,
    ),
    Algorithm(
        "winograd F(4,3)",
        4,
        "dot16",
        np.array(
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ]
        ),
        np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 6]]),
        64,  # 576, but for the 9 that has an inverse
    ),
    Algorithm(
        "winograd F(4,3) in bytes",
        4,
        "dot8",
        np.array(
            [
                [1, 0, 0, 0, -1, 0],
                [0, 1, 1, 1, 1, 0],
                [0, -1, 1, -1, 1, 0],
                [0, -1, -1, 1, 1, 0],
                [0, -1, 1, 1, -1, 0],
                [0, -1, 0, 1, 0, 0],
                [0, -1, 0, 0, 0, 1],
            ]
        ),
        np.array([[1, 0, 0], [1, 1, 1], [1, -1, 1], [1, 0, -1], [0, 1, 0], [-1, -1, 1], [0, 0, 1]]),
        16,
    ),
)

VECTOR = 64  # bytes of the longest vector
PATCHES = 28  # transformed at a time, at least; summed at a time, at most
PATCH_BYTES = 2**18  # of transformed input, about, where more patches fit it


@dataclass(frozen=True, eq=False)
class Patch:
    """A layer by an algorithm.

    low      int64 [points^2], the least value of each point of B'dB
    factor   of all weights; G w G' is of what is left
    product  of the widest span of B'dB and the largest weight, in magnitude
    """

    algorithm: Algorithm
    low: np.ndarray
    factor: int
    product: int

    @property
    def m(self) -> int:
        """Pixels of a patch's output, along an axis."""
        return self.algorithm.m

    @property
    def points(self) -> int:
        """Products of a patch, along an axis."""
        return self.algorithm.points

    def row(self, inputs: int) -> int:
        """Bytes of a transformed pixel's channels, whole vectors."""
        return -(-inputs * (1 if self.algorithm.unit == "dot8" else 2) // VECTOR) * VECTOR

    def size(self, inputs: int) -> int:
        """Bytes of a patch's transformed input, and what lies between it and the next one's."""
        return self.points**2 * self.row(inputs) + VECTOR

    def at_once(self, inputs: int) -> int:
        """Patches that are transformed together."""
        return max(PATCHES, PATCH_BYTES // self.size(inputs))


def patches(operation: Conv, inputs: Range, bound: Accumulator) -> Iterator[Patch]:
    """The layer by each algorithm that the bounds prove exact."""
    plain = operation.stride == operation.dilation == (1, 1) and operation.groups == 1
    if plain and operation.weights.codes.shape[2:] == (3, 3) and operation.odd is None:
        found = (_fit(operation, algorithm, inputs, bound) for algorithm in ALGORITHMS)
        yield from (patch for patch in found if patch)


def _fit(operation: Conv, algorithm: Algorithm, inputs: Range, bound: Accumulator) -> Patch | None:
    low, high = input_ranges(algorithm, inputs)
    factor = max(int(np.gcd.reduce(operation.weights.levels)), 1)
    made = weights(operation.weights.planes[0] // factor, algorithm)
    limits = np.iinfo("int8" if algorithm.unit == "dot8" else "int16")
    right = limits.min <= made.min() and made.max() <= limits.max
    span = int((high - low).max())
    if algorithm.unit == "dot8":
        room = span < 256
    else:
        room = limits.min <= low.min() and high.max() <= limits.max
    small = algorithm.multiple * bound.largest < 2**31 * factor
    product = span * int(np.abs(made).max())
    return Patch(algorithm, low, factor, product) if right and room and small else None


def input_ranges(algorithm: Algorithm, inputs: Range) -> tuple[np.ndarray, np.ndarray]:
    """What each point of B'dB can be at least and at most, for inputs of the interval and zeros."""
    both: np.ndarray = np.kron(algorithm.inputs, algorithm.inputs)
    ups, downs = both.clip(0).sum(1), (-both).clip(0).sum(1)
    lo, hi = min(inputs[0], 0), max(inputs[1], 0)
    return ups * lo - downs * hi, ups * hi - downs * lo


def weights(plane: np.ndarray, algorithm: Algorithm) -> np.ndarray:
    """G w G', int64 [points^2, O, I], of integers [O, I, 3, 3]."""
    g = algorithm.weights
    w = plane.astype(np.int64).transpose(2, 3, 0, 1).reshape(3, 3, -1)
    half = np.add.reduce([g[:, k, None, None] * w[k] for k in range(3)])
    made = np.add.reduce([g[:, k, None] * half[:, None, k] for k in range(3)])
    return made.reshape(len(g) ** 2, *plane.shape[:2])
