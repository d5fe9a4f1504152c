"""The codebook of evenly spaced levels: a multiplication, a rounding and a clamp, no search."""

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook, widened
from dyadic.quantizers.rounding import Rounding, nearest_even

HALF_STEP = 0.5


class UniformCodebook(Codebook):
    """Values `scale * k` for k = lo .. hi; the code of k is k - lo.

        k = clamp(round(x * (1 / scale)), lo, hi)

    in the arithmetic of x: the same product, and so the same codes, as ATen's fake quantization.
    It equals the search of `Codebook` but for a last-bit neighbourhood of the ties, where the
    rounding rule decides. Up to half a step beyond the ends nothing saturates.

    >>> book = UniformCodebook(torch.tensor(0.5), -1, 2, bits=2)
    >>> book.quantize(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([0, 0, 3, 3])
    >>> book(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([-0.5000, -0.5000,  1.0000,  1.0000])
    """

    lo: int
    hi: int
    rounding: Rounding

    def __init__(
        self, scale: Tensor, lo: int, hi: int, bits: int, rounding: Rounding = nearest_even
    ) -> None:
        super().__init__(scale, _integers(lo, hi), bits, margin=HALF_STEP)
        # A frozen dataclass is filled in by its constructors only, and this is one.
        for name, value in {"lo": lo, "hi": hi, "rounding": rounding}.items():
            object.__setattr__(self, name, value)

    @cached_property
    def cuts(self) -> Tensor:
        """The boundaries on the level axis: shifted by half a step for floor and ceil."""
        cell = self.rounding(torch.tensor([0.25, 0.75], dtype=torch.float64))
        return self.levels[:-1] + (2 - cell.sum()) / 2

    def _level(self, x: Tensor) -> Tensor:
        ratio = widened(x) * self.scale.reciprocal()
        return self.rounding(ratio).clamp_(self.lo, self.hi)

    def quantize(self, x: Tensor) -> Tensor:
        """Codes 0 .. hi - lo, int64, shaped like x."""
        return self._level(x).long() - self.lo

    def __call__(self, x: Tensor) -> Tensor:
        return self._level(x).mul_(self.scale).to(x.dtype)


@lru_cache(maxsize=256)
def _integers(lo: int, hi: int) -> Tensor:
    return torch.arange(lo, hi + 1)
