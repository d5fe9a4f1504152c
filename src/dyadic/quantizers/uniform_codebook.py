"""The codebook of evenly spaced levels: a multiplication, a rounding and a clamp, no search."""

from functools import cached_property, lru_cache

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook, positive, widened
from dyadic.quantizers.rounding import Rounding, nearest_even

HALF_STEP = 0.5
SMALLEST_SCALE = 2.0**-126  # a normal float32
LARGEST_SCALE = 2.0**128 * (1 - 2.0**-20)  # with room for rounding


class UniformCodebook(Codebook):
    """Values `scale * k` for k = lo .. hi; the code of k is k - lo.

        k = clamp(round(x * (1 / scale)), lo, hi)

    in the arithmetic of x: the same product, and so the same codes, as ATen's fake quantization.
    It equals the search of `Codebook` but for a last-bit neighbourhood of the ties, where the
    rounding rule decides. Up to half a step beyond the ends nothing saturates. Scales are
    `representable`, and 1 where they are 0. Ends that follow from data (a zero point) are tensors,
    int64 (): nothing waits for a device to tell them; hi is then lo + 2^bits - 1.

    >>> book = UniformCodebook(torch.tensor(0.5), -1, 2, bits=2)
    >>> book.quantize(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([0, 0, 3, 3])
    >>> book(torch.tensor([-9.0, -0.3, 0.75, 9.0]))
    tensor([-0.5000, -0.5000,  1.0000,  1.0000])
    """

    lo: int | Tensor
    hi: int | Tensor
    rounding: Rounding

    def __init__(
        self,
        scale: Tensor,
        lo: int | Tensor,
        hi: int | Tensor,
        bits: int,
        rounding: Rounding = nearest_even,
    ) -> None:
        if isinstance(lo, int) and isinstance(hi, int):
            integers, largest = _integers(lo, hi), max(-lo, hi)
        else:
            integers = lo + torch.arange(2**bits, device=scale.device)
            largest = integers.abs().amax()
        super().__init__(representable(positive(scale), largest), integers, bits, margin=HALF_STEP)
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
        return self.rounding(ratio).clamp_(self.lo, self.hi)  # type: ignore[arg-type]

    def quantize(self, x: Tensor) -> Tensor:
        """Codes 0 .. hi - lo, int64, shaped like x."""
        return self._level(x).long() - self.lo

    def __call__(self, x: Tensor) -> Tensor:
        return self._level(x).mul_(self.scale).to(x.dtype)


def representable(scale: Tensor, largest: float | Tensor) -> Tensor:
    """The finite scale nearest to it whose reciprocal and largest level float32 can hold.

    >>> representable(torch.tensor([2.0**-140, 0.1, 2.0**127]), 3).log2()
    tensor([-126.0000,   -3.3219,  126.4150])
    """
    if isinstance(largest, Tensor):
        most = LARGEST_SCALE / largest.clamp_min(1).double()
        return torch.minimum(scale.clamp_min(SMALLEST_SCALE), most.to(scale.dtype))
    return scale.clamp(SMALLEST_SCALE, LARGEST_SCALE / max(largest, 1))


@lru_cache(maxsize=256)
def _integers(lo: int, hi: int) -> Tensor:
    return torch.arange(lo, hi + 1)
