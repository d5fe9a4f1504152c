"""The codebook of evenly spaced levels: a multiplication, a rounding and a clamp, no search."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook, widened
from dyadic.quantizers.rounding import Rounding, nearest_even

HALF_STEP = 0.5


@dataclass(frozen=True, eq=False)
class UniformCodebook(Codebook):
    """Values `scale * k` for k = lo .. hi; the code of k is k - lo.

        k = clamp(round(x * (1 / scale)), lo, hi)

    in the arithmetic of x: the same product, and so the same codes, as ATen's fake quantization.
    It equals the search of `Codebook` but for a last-bit neighbourhood of the ties, where the
    rounding rule decides. Made by `uniform_codebook`.

    >>> book = uniform_codebook(torch.tensor(0.5), -1, 2, bits=2)
    >>> book.quantize(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([0, 0, 3, 3])
    >>> book(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([-0.5000, -0.5000,  1.0000,  1.0000])
    """

    rounding: Rounding = nearest_even

    @property
    def lo(self) -> int:
        """The smallest level."""
        return int(self.integers[0])

    @property
    def hi(self) -> int:
        """The largest level."""
        return int(self.integers[-1])

    @cached_property
    def cuts(self) -> Tensor:
        """The boundaries on the level axis: shifted by half a step for floor and ceil."""
        cell = self.rounding(torch.tensor([0.25, 0.75], dtype=torch.float64))
        return self.levels[:-1] + (2 - cell.sum()) / 2

    def _level(self, x: Tensor) -> Tensor:
        ratio = widened(x) * self.scale.reciprocal()
        return self.rounding(ratio).clamp_(self.lo, self.hi)

    def quantize(self, x: Tensor) -> Tensor:
        return self._level(x).long() - self.lo

    def __call__(self, x: Tensor) -> Tensor:
        return self._level(x).mul_(self.scale).to(x.dtype)


def uniform_codebook(
    scale: Tensor, lo: int, hi: int, bits: int, rounding: Rounding = nearest_even
) -> UniformCodebook:
    """The codebook of `scale * k`, k = lo .. hi; half a step beyond the ends does not saturate."""
    return UniformCodebook(
        scale=scale, integers=_integers(lo, hi), bits=bits, margin=HALF_STEP, rounding=rounding
    )


@lru_cache(maxsize=256)
def _integers(lo: int, hi: int) -> Tensor:
    return torch.arange(lo, hi + 1)
