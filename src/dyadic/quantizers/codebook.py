"""The codebook: which numbers are representable. One object for training, storage and integers.

Every scheme of every paper here is a positive scale times a short list of *levels*, and every level
is an integer, or `a + b * sqrt(2)` with integers a and b (base-sqrt(2) logarithms). So the same
codebook fake-quantizes in training, counts the bits of storage, draws the levels in a histogram and
gives the integer program its weights; nothing recomputes levels on its own.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SQRT2 = 2.0**0.5


@dataclass(frozen=True)
class Codebook:
    """Values `scale * level[code]`, ascending, with the boundaries between neighbours.

    scale      positive; shape () or broadcastable against the tensors that are quantized
    integers   int64 [K], or [2, K] for levels a + b * sqrt(2) (rows a, b)
    bits       as stored, at least ceil(log2 K)
    boundaries float64 [K - 1] on the level axis; default: the midpoints (nearest value)
    ties_up    a value on a boundary goes away from zero (True, as INQ's Eq. 4) or towards it

    For a codebook that is symmetric about zero the boundaries are mirrored too: magnitudes are
    compared, so -x always gets the mirrored code of x.

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
    def symmetric(self) -> bool:
        """True when -level is a level for every level, and the boundaries mirror too."""
        return bool(
            torch.equal(self.levels, -self.levels.flip(0))
            and torch.equal(self.cuts, -self.cuts.flip(0))
        )

    def quantize(self, x: Tensor) -> Tensor:
        """Codes 0 .. K - 1, int64, shaped like x: the cell of `x / scale`."""
        ratio = x.double() / self.scale.double()
        cuts = self.cuts.to(ratio.device)
        if not self.symmetric:
            return torch.bucketize(ratio, cuts, right=self.ties_up)
        # Binary has the boundary 0 itself, and sign(0) = +1: count it for the positive half.
        positive, half = cuts[cuts > 0], len(self.levels) // 2
        cell = torch.bucketize(ratio.abs(), positive, right=self.ties_up)
        return torch.where(ratio < 0, len(self.levels) - 1 - half - cell, half + cell)

    def dequantize(self, codes: Tensor) -> Tensor:
        """Values of the codes, in the scale's dtype."""
        levels = self.levels.to(self.scale.device, self.scale.dtype)
        return levels[codes] * self.scale

    def __call__(self, x: Tensor) -> Tensor:
        """`dequantize(quantize(x))`, in x's dtype."""
        return self.dequantize(self.quantize(x)).to(x.dtype)
