"""INQ's power-of-two set P_l (Zhou et al. 2017, Eqs. 1 to 4): weights that are shifts.

    P_l = {0, +-2^n2, ..., +-2^n1},  n1 = floor(log2(4 s / 3)),  s = max |W_l|
    n2 = n1 + 1 - 2^(b - 2)

Nearest value on the linear scale: |w| goes to 2^k for 1.5 * 2^(k-1) <= |w| < 1.5 * 2^k. Weights
that grew in retraining saturate: Eq. 4 read literally makes 0 of |w| >= 1.5 * 2^n1, here the top
cell has no end. Eq. 4 and the text disagree below 2^n2: `zero_cut`.
"""

import logging
from collections.abc import Callable
from functools import cache
from typing import Unpack

import torch
from torch import Tensor

from dyadic.errors import check_choice
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.quantizer import WeightOptions, WeightQuantizer, check_bits
from dyadic.quantizers.search import least_error

MOST_EXPONENTS = 31
SMALLEST_EXPONENT, LARGEST_EXPONENT = -149, 127  # of float32
LOWEST_BY_MSE = 7  # how far below the paper's n1 the search goes; 2 bits need one to three

MOSTLY_ZEROS = (2, 3)  # bits at which the paper's n1 leaves few weights on a level beside zero
log = logging.getLogger(__name__)


@cache
def say_mostly_zeros(bits: int) -> None:
    """One line a process, however many layers there are."""
    log.warning("n1=paper at %d bits makes zeros of most weights: n1=mse keeps them", bits)


def exponents(bits: int) -> int:
    """How many exponents n2 .. n1: 2^(b-2), but 31 at most, so that integers stay below 2^31.

    From 7 bits on, the paper's range of 32 or 64 octaves would reach below what float32 weights of
    one layer resolve (24 bits), and its integers beyond 64 bits.

    >>> [exponents(b) for b in range(2, 9)]
    [1, 2, 4, 8, 16, 31, 31]
    """
    return min(2 ** (bits - 2), MOST_EXPONENTS)


def largest_exponent(s: Tensor) -> Tensor:
    """n1 = floor(log2(4 s / 3)), int64: the k with 0.75 * 2^k <= s < 1.5 * 2^k; 0 for s = 0.

    Exact, from the binary representation: s = m * 2^e, 1/2 <= m < 1, gives e - 1, and e from
    m = 3/4 on.

    >>> largest_exponent(torch.tensor([0.9, 1.4999, 1.5, 0.5]))
    tensor([ 0,  0,  1, -1])
    """
    mantissa, exponent = torch.frexp(s)
    n1 = torch.where(s > 0, exponent - 1 + (mantissa >= 0.75).int(), 0).long()
    return n1.clamp(max=LARGEST_EXPONENT)


def power_of_two_codebook(n1: Tensor, bits: int, zero_cut: str, dtype: torch.dtype) -> Codebook:
    """P_l of the largest exponents n1, which have the scale's shape; levels sign * 2^k, k >= 0.

    No level is below 2^-149, float32's smallest number.
    """
    count = exponents(bits)
    n1 = n1.clamp(min=SMALLEST_EXPONENT + count - 1)
    positive = 2 ** torch.arange(count)
    integers = torch.cat([-positive.flip(0), torch.zeros(1, dtype=torch.int64), positive])
    scale = torch.ldexp(torch.ones_like(n1, dtype=dtype), n1 + 1 - count)
    book = Codebook(scale, integers, bits, margin=2.0 ** (count - 2))
    if zero_cut == "half":
        return book
    cuts = torch.where(book.cuts.abs() == 0.5, 2 * book.cuts, book.cuts)
    return Codebook(scale, integers, bits, boundaries=cuts, margin=book.margin)


class PowerOfTwo(WeightQuantizer):
    """Weights of INQ's set P_l: 2^(b-1) + 1 values, zero and the signed powers of two.

    bits         2 .. 8 as the paper counts them; see `exponents` for 7 and 8
    n1           `paper`, or `mse`: the n1 with the least squared error, the paper's or up to 7
                 lower (at 2 and 3 bits the paper's makes zeros of nearly all weights)
    zero_cut     `half`: |w| below 2^n2 / 2 is 0 (Eq. 4); `full`: below 2^n2 (the paper's text)
    granularity  per_tensor (the paper), per_channel, or per_group or per_block of `group_size`

    P_l is a function of the weights that are given; who needs it fixed while they change keeps the
    codebook, or the weights it was fitted to. Saturated weights: `codebook.saturations(w)`.

    >>> quantizer = PowerOfTwo(bits=5)
    >>> book = quantizer.codebook(torch.tensor([0.9]))
    >>> book(torch.tensor([0.9, 1.49, 1.51, -0.74, 0.75]))
    tensor([ 1.0000,  1.0000,  1.0000, -0.5000,  1.0000])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        n1: str = "paper",
        zero_cut: str = "half",
        **options: Unpack[WeightOptions],
    ) -> None:
        check_bits("INQ's power-of-two set", bits, 2, 8)
        check_choice("n1", n1, ("paper", "mse"))
        check_choice("zero_cut", zero_cut, ("half", "full"))
        super().__init__(bits, signed, **options)
        self.n1, self.zero_cut = n1, zero_cut
        if n1 == "paper" and bits in MOSTLY_ZEROS:
            say_mostly_zeros(bits)

    def fitted(self, rows: Tensor, spread: Callable[[Tensor], Tensor]) -> Codebook:
        return self._codebook(spread(self._largest_exponents(rows)), rows.dtype)

    def _largest_exponents(self, rows: Tensor) -> Tensor:
        paper = largest_exponent(rows.abs().amax(dim=1))
        if self.n1 == "paper":
            return paper
        lower = (paper - k for k in range(LOWEST_BY_MSE + 1))
        return least_error(rows, lower, lambda n1: self._codebook(n1[:, None], rows.dtype))

    def _codebook(self, n1: Tensor, dtype: torch.dtype) -> Codebook:
        return power_of_two_codebook(n1, self.bits, self.zero_cut, dtype)
