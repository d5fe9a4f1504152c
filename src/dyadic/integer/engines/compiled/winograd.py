"""Winograd's convolution of 3 x 3 on integers: what the proved bounds allow, and its weights.

`Y = A' [(G w G') * (B' d B)] A` with G scaled to integers. F(2 x 2) needs 16 products for 4 outputs
where the direct way needs 36; F(4 x 4) needs 36 for 16 (direct: 144). Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks, 2015.

Exact while (dyadic_winograd.c takes sums modulo 2^32)
  F(2 x 2)  B'dB spans at most 256 values, G w G' fits int8, and 4 |sum| < 2^31
  F(4 x 4)  B'dB and G w G' fit int16, and 64 |sum| < 2^31
"""

from dataclasses import dataclass

import numpy as np

from dyadic.integer.program.bounds import Accumulator, Range
from dyadic.integer.program.operations import Conv

INPUT = {
    2: np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    4: np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
}  # B'
WEIGHTS = {
    2: np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]),
    4: np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 6]]),
}  # G, times 2 and times 24; the last row of the latter times 6, made up for in A
LARGEST_SUM = {2: 2**29, 4: 2**25}

VECTOR = 64  # bytes of the longest vector
PATCHES = 28  # transformed at a time, at least; summed at a time, at most
PATCH_BYTES = 2**18  # of transformed input, about, where more patches fit it


@dataclass(frozen=True)
class Patch:
    """A layer by F(m x m, 3 x 3).

    low     the least value of B'dB
    factor  of all weights; G w G' is of what is left
    """

    m: int
    low: int
    factor: int

    @property
    def side(self) -> int:
        """Pixels of a patch's input, along an axis."""
        return self.m + 2


def fits(operation: Conv, m: int, inputs: Range, bound: Accumulator) -> Patch | None:
    """The layer by F(m x m, 3 x 3), if the bounds prove it exact."""
    plain = operation.stride == operation.dilation == (1, 1) and operation.groups == 1
    if not plain or operation.weights.codes.shape[2:] != (3, 3) or operation.odd is not None:
        return None
    low, high = input_range(m, inputs)
    plane = operation.weights.planes[0]
    factor = max(int(np.gcd.reduce(operation.weights.levels)), 1)
    made = weights(plane // factor, m)
    limits = np.iinfo("int8" if m == 2 else "int16")
    right = limits.min <= made.min() and made.max() <= limits.max
    room = high - low < 256 if m == 2 else low >= -(2**15) and high < 2**15
    small = bound.largest < LARGEST_SUM[m] * factor
    return Patch(m, low, factor) if right and room and small else None


def at_once(m: int, row: int) -> int:
    """Patches that are transformed together, for `row` bytes of transformed channels."""
    return max(PATCHES, PATCH_BYTES // patch_bytes(m, row))


def patch_bytes(m: int, row: int) -> int:
    """Of a patch's transformed input, and what lies between it and the next one's."""
    return (m + 2) ** 2 * row + VECTOR


def row(inputs: int, m: int) -> int:
    """Bytes of a transformed pixel's channels, whole vectors."""
    return -(-inputs * (1 if m == 2 else 2) // VECTOR) * VECTOR


def input_range(m: int, inputs: Range) -> Range:
    """All that B'dB can be, in any order of addition, for inputs of the interval and zeros."""
    interval = min(inputs[0], 0), max(inputs[1], 0)
    ends = [end for row in _rows(m, interval) for end in _rows(m, row)]
    return min(lo for lo, _ in ends), max(hi for _, hi in ends)


def _rows(m: int, values: Range) -> list[Range]:
    """All that each row of B' times values of the interval can be."""
    lo, hi = values
    ups, downs = INPUT[m].clip(0).sum(1).tolist(), (-INPUT[m]).clip(0).sum(1).tolist()
    return [(u * lo - d * hi, u * hi - d * lo) for u, d in zip(ups, downs, strict=True)]


def weights(plane: np.ndarray, m: int) -> np.ndarray:
    """G w G', int64 [(m + 2)^2, O, I], of integers [O, I, 3, 3]."""
    g = WEIGHTS[m]
    made = np.einsum("ia,ocab,jb->ijoc", g, plane.astype(np.int64), g)
    return made.reshape(len(g) ** 2, *plane.shape[:2])
