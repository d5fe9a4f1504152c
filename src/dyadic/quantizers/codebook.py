"""The codebook: which numbers are representable. One object for training, storage and integers.

Every scheme of every paper here is a positive scale times a short list of *levels*, and every level
is an integer, or `a + b * sqrt(2)` with integers a and b (base-sqrt(2) logarithms). So the same
codebook fake-quantizes in training, counts the bits of storage, draws the levels in a histogram and
gives the integer program its weights; nothing recomputes levels on its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SQRT2 = 2.0**0.5
FEW = 40  # thresholds up to which a processor compares with each sooner than it searches


@dataclass(frozen=True, eq=False)
class Codebook:
    """Values `scale * level[code]`, ascending, with the boundaries between neighbours.

    scale      positive; shape () or broadcastable against the tensors that are quantized
    integers   int64 [K], or [2, K] for levels a + b * sqrt(2) (rows a, b)
    bits       as stored, at least ceil(log2 K)
    boundaries float64 [K - 1] on the level axis; default: the midpoints (nearest value)
    ties_up    a value on a boundary goes away from zero (True, as INQ's Eq. 4) or towards it
               (False, as HWGQ's Eq. 6); on the boundary 0 itself, up or down
    margin     how far beyond the outermost levels, on the level axis, their cells still reach: a
               value further out saturates

    A codebook whose levels and boundaries are symmetric about zero gives -x the mirrored code of x.

    >>> ternary = Codebook(torch.tensor(0.5), torch.tensor([-1, 0, 1]), bits=2)
    >>> ternary.quantize(torch.tensor([-0.8, 0.2, 0.25]))
    tensor([0, 1, 2])
    >>> ternary(torch.tensor([-0.8, 0.2, 0.25]))
    tensor([-0.5000,  0.0000,  0.5000])
    """

    scale: Tensor
    integers: Tensor
    bits: int
    boundaries: Tensor | None = None
    ties_up: bool = True
    margin: float = 0.0

    @cached_property
    def levels(self) -> Tensor:
        """Unscaled levels, float64 [K], ascending."""
        rows = torch.atleast_2d(self.integers).double()
        return rows[0] + (SQRT2 * rows[1] if len(rows) == 2 else 0.0)

    @cached_property
    def cuts(self) -> Tensor:
        """The boundaries on the level axis, float64 [K - 1]."""
        if self.boundaries is not None:
            return self.boundaries
        return (self.levels[1:] + self.levels[:-1]) / 2

    @cached_property
    def cut_goes_up(self) -> Tensor:
        """Whether a value on a boundary belongs to the cell above it, bool [K - 1]."""
        return (self.cuts >= 0) == self.ties_up

    @cached_property
    def reach(self) -> tuple[Tensor, Tensor]:
        """The open interval of x where nothing saturates, (low, high), shaped like the scale.

        The outermost levels, with their margin; the low end of a non-negative codebook is 0.
        """
        lowest, highest = self.levels[0], self.levels[-1]
        low, high = lowest - self.margin * (lowest < 0), highest + self.margin
        return self.scale * low.to(self.scale.dtype), self.scale * high.to(self.scale.dtype)

    def saturations(self, x: Tensor) -> int:
        """How many values of x lie beyond the cells of the outermost levels."""
        low, high = self.reach
        return int(((x <= low) & (low < 0) | (x >= high)).sum())

    def quantize(self, x: Tensor) -> Tensor:
        """Codes 0 .. K - 1, int64, shaped like x: the cell of `x / scale`, in exact arithmetic."""
        return self._cells(widened(x)).long()

    def _cells(self, x: Tensor) -> Tensor:
        if self.scale.ndim == 0:
            return _count(x, self._thresholds(self.scale.double(), x))
        one = torch.ones((), dtype=torch.float64, device=x.device)
        ratio = x.double() / self.scale.double()
        return _count(ratio, self._thresholds(one, ratio))

    def _thresholds(self, scale: Tensor, x: Tensor) -> Tensor:
        """[K - 1] in x's dtype: x is in the cell above a cut, times the scale, where x >= t.

        Rounded upwards, so that a cut that float32 cannot hold moves no float32 x to another cell.
        """
        cuts, goes_up = sent(self.cuts, x.device) * scale, sent(self.cut_goes_up, x.device)
        t = cuts.to(x.dtype)
        below = torch.where(goes_up, t.double() < cuts, t.double() <= cuts)
        return torch.where(below, torch.nextafter(t, torch.full_like(t, torch.inf)), t)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Values of the codes, in the scale's dtype."""
        levels = sent(self.levels, self.scale.device).to(self.scale.dtype)
        return _pick(levels, codes) * self.scale

    def __call__(self, x: Tensor) -> Tensor:
        """`dequantize(quantize(x))` in x's dtype, computed in the wider one of x and the scale."""
        cells = self._cells(widened(x))
        dtype = torch.promote_types(widened(x).dtype, self.scale.dtype)
        levels = sent(self.levels, x.device).to(dtype)
        if self.scale.ndim == 0:
            return _pick((levels * self.scale).to(x.dtype), cells)
        return (_pick(levels, cells) * self.scale).to(x.dtype)


def widened(x: Tensor) -> Tensor:
    """X in float32 at least: bfloat16 and float16 cannot hold an 8-bit grid."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def sent(x: Tensor, device: torch.device) -> Tensor:
    """A constant on a device, without waiting for what the device has yet to compute."""
    return x.to(device, non_blocking=True)


def octave(x: Tensor, dim: int | None = None) -> Tensor:
    """The power of two 2^e with 2^(e - 1) <= max|x| < 2^e, in x's dtype; 1 where all is 0.

    x / 2^e is exact, and its squares and sums leave float32 for no finite x. From 2^-126 to 2^126,
    where its reciprocal is normal too.

    >>> octave(torch.tensor([3.0, -5.0]))
    tensor(8.)
    """
    largest = x.abs().amax() if dim is None else x.abs().amax(dim=dim, keepdim=True)
    return torch.ldexp(torch.ones_like(largest), torch.frexp(largest).exponent.clamp(-126, 126))


def memory_order(x: Tensor) -> list[int]:
    """The permutation of the axes that makes a dense tensor contiguous (channels-last too)."""
    return sorted(range(x.ndim), key=lambda axis: -x.stride(axis))


def _in_memory_order(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of x's values as one row, its result in x's shape and memory layout."""
    order = memory_order(x)
    dense = x.detach().permute(order).contiguous()
    inverse = [order.index(axis) for axis in range(x.ndim)]
    return function(dense.view(-1)).view(dense.shape).permute(inverse)


def _count(x: Tensor, thresholds: Tensor) -> Tensor:
    """How many of the ascending thresholds are at most x, int32; all of them for NaN."""

    def count(row: Tensor) -> Tensor:
        if len(thresholds) > FEW or row.device.type != "cpu":
            return torch.bucketize(row, thresholds, right=True, out_int32=True)
        found, below = torch.full_like(row, len(thresholds)), torch.empty_like(row)
        for threshold in thresholds:
            found -= torch.lt(row, threshold, out=below)
        return found.int()

    return _in_memory_order(x, count)


def _pick(levels: Tensor, codes: Tensor) -> Tensor:
    """`levels[codes]`, several times as fast."""
    return _in_memory_order(codes, lambda row: levels.index_select(0, row))


def positive(scale: Tensor) -> Tensor:
    """The scale, but 1 where a tensor is all zeros."""
    return torch.where(scale == 0, torch.ones_like(scale), scale)
