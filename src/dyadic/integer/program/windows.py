"""Windows of sum pooling along one axis: where they begin and end, and what they divide by.

A window of rows times a window of columns counts `count_y * count_x` positions, and the least
common multiple of all such products is that of the rows times that of the columns: so the two axes
are told apart.
"""

from dataclasses import dataclass
from math import lcm

import numpy as np

from dyadic.integer.program.operations import INT32, AdaptiveSumPool, SumPool

COUNTED = ("kernel", "padded", "image")


@dataclass(frozen=True)
class Windows:
    """Windows of one axis, cut to the image.

    begin, end  int64 [positions]: pixels [begin, end)
    factor      int64 [positions]: common / count, by which a window's sum is multiplied
    common      least common multiple of the counts; at most 2^31, which no int32 holds
    """

    begin: np.ndarray
    end: np.ndarray
    factor: np.ndarray
    common: int

    @classmethod
    def counting(cls, begin: np.ndarray, end: np.ndarray, count: np.ndarray) -> "Windows":
        """Windows with these counts."""
        common = 1
        for number in np.unique(count):
            common = min(lcm(common, int(number)), INT32[1] + 1)
        return cls(begin, end, common // count, common)


def pool_positions(size: int, kernel: int, stride: int, padding: int, ceil: bool) -> int:
    """Positions of a pooling window along one axis; with ceil, none begins in the far padding.

    >>> pool_positions(4, 3, 2, 0, ceil=False), pool_positions(4, 3, 2, 0, ceil=True)
    (1, 2)
    """
    room = size + 2 * padding - kernel
    if not ceil or room < 0:
        return room // stride + 1
    positions = -(-room // stride) + 1
    return positions - ((positions - 1) * stride >= size + padding)


def windows(operation: SumPool | AdaptiveSumPool, size: tuple[int, ...]) -> tuple[Windows, Windows]:
    """Windows of the rows and of the columns of an input of `size` (rows, columns)."""
    if isinstance(operation, AdaptiveSumPool):
        rows, columns = (_adaptive(n, o) for n, o in zip(size, operation.size, strict=True))
        return rows, columns
    axes = zip(size, operation.kernel, operation.stride, operation.padding, strict=True)
    rows, columns = (_pool(*axis, operation.ceil, operation.counted) for axis in axes)
    return rows, columns


def divisor(operation: SumPool | AdaptiveSumPool, size: tuple[int, ...]) -> int:
    """What the sums are divided by to be averages: the kernel's area, or L.

    >>> divisor(AdaptiveSumPool("pool", ("x",), (2, 2)), (7, 4))
    8
    """
    if isinstance(operation, SumPool) and operation.counted == "kernel":
        return operation.kernel[0] * operation.kernel[1]
    rows, columns = windows(operation, size)
    return rows.common * columns.common


def _adaptive(size: int, positions: int) -> Windows:
    i = np.arange(positions)
    begin, end = i * size // positions, -(-(i + 1) * size // positions)
    return Windows.counting(begin, end, end - begin)


def _pool(size: int, kernel: int, stride: int, padding: int, ceil: bool, counted: str) -> Windows:
    begin = np.arange(pool_positions(size, kernel, stride, padding, ceil)) * stride - padding
    inside = begin.clip(0), (begin + kernel).clip(None, size)
    if counted == "kernel":
        return Windows(*inside, np.ones_like(begin), 1)
    padded = (begin + kernel).clip(None, size + padding) - begin
    return Windows.counting(*inside, padded if counted == "padded" else inside[1] - inside[0])
