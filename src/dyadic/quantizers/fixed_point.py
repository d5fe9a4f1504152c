"""Fixed point: Q formats from the signal's standard deviation (Lin, Talathi, Annapureddy 2016).

    s = xi * Stepsize(bits),  fractional bits n = -ceil(log2 s)

with the optimal step for a Gaussian and xi the standard deviation: the step is rounded up to a
power of two. Values are two's complement integers times 2^-n.
"""

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.gaussian import mid_rise_step, standard_deviation
from dyadic.quantizers.quantizer import Quantizer, check_bits, to_fit
from dyadic.quantizers.statistics import MOMENTUM, RunningMean
from dyadic.quantizers.straight_through import StraightThrough, clipped
from dyadic.quantizers.uniform_codebook import UniformCodebook


def fractional_bits(xi: Tensor, step: float) -> Tensor:
    """The Q format's n = -ceil(log2(xi * step)), int64; 0 for xi = 0.

    Exact, from the binary representation.

    >>> fractional_bits(torch.tensor([1.0, 0.25, 0.3]), step=0.5)
    tensor([1, 3, 2])
    """
    mantissa, exponent = torch.frexp(xi * step)
    ceiling = exponent - (mantissa == 0.5).int()
    return torch.where(xi > 0, -ceiling, 0).long()


class FixedPoint(Quantizer):
    """Two's complement codes -2^(b-1) .. 2^(b-1) - 1 (or 0 .. 2^b - 1) times 2^-n, per tensor.

    bits      2 .. 16; 1 where not signed
    dynamic   fit every tensor, also after `observe`; else xi is averaged over what was observed
    momentum  of that average

    Not signed: the positive half of a Gaussian, that of a signed format with one bit more.

    >>> quantizer = FixedPoint(bits=4)
    >>> quantizer(torch.tensor([-1.0, 0.3, 1.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        dynamic: bool = False,
        momentum: float = MOMENTUM,
        ste: StraightThrough = clipped,
    ) -> None:
        check_bits("signed FixedPoint" if signed else "FixedPoint", bits, 2 if signed else 1)
        super().__init__(bits, signed, ste)
        self.step = mid_rise_step(bits if signed else bits + 1)
        self.dynamic = dynamic
        self.xi = RunningMean(momentum)

    def observe(self, x: Tensor) -> None:
        if not self.dynamic:
            self.xi.update(standard_deviation(x, self.signed))

    def codebook(self, x: Tensor | None = None) -> Codebook:
        xi = self._xi(x)
        n = fractional_bits(xi, self.step).clamp(self.bits - 128, 126)  # as far as float32 goes
        scale = torch.ldexp(torch.ones_like(xi), -n)
        lo, hi = (-(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1)
        if not self.signed:
            lo, hi = 0, 2**self.bits - 1
        return UniformCodebook(scale, lo, hi, self.bits)

    def _xi(self, x: Tensor | None) -> Tensor:
        if self.xi.known:
            return self.xi.value
        return standard_deviation(to_fit(self, x), self.signed)
