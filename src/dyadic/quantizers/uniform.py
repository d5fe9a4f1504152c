"""Uniform quantization with the survey's options (Gholami et al. 2021, sections III-B to III-H).

Q(r) = round(r / S),  r~ = S * Q(r)                       symmetric
Q(r) = round(r / S) with levels q - Z, Z = round(-low / S)    asymmetric
"""

import torch
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers.calibration import Calibration, minmax
from dyadic.quantizers.codebook import Codebook, widened
from dyadic.quantizers.granularity import PerTensor, granularity_of
from dyadic.quantizers.quantizer import Quantizer, check_bits, to_fit
from dyadic.quantizers.rounding import Rounding, nearest_even
from dyadic.quantizers.statistics import MOMENTUM, RunningRange
from dyadic.quantizers.straight_through import StraightThrough, clipped
from dyadic.quantizers.uniform_codebook import SMALLEST_SCALE, UniformCodebook


def symmetric_limits(bits: int, narrow: bool) -> tuple[int, int, float]:
    """(lo, hi, steps from 0 to max |r|) of a signed symmetric grid.

    restricted (narrow)  -(2^(b-1) - 1) .. 2^(b-1) - 1,  S = max|r| / (2^(b-1) - 1)
    full range           -2^(b-1) .. 2^(b-1) - 1,        S = 2 max|r| / (2^b - 1)

    >>> symmetric_limits(8, narrow=True), symmetric_limits(8, narrow=False)
    ((-127, 127, 127), (-128, 127, 127.5))
    """
    half = 2 ** (bits - 1)
    return (1 - half, half - 1, half - 1) if narrow else (-half, half - 1, half - 0.5)


def affine_limits(low: Tensor, high: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Scale and zero point of an asymmetric grid: S = (high - low) / (2^b - 1), Z = round(-low/S).

    In float64, Z as int64; Z = 0 where S = 0.

    >>> affine_limits(torch.tensor(-1.0), torch.tensor(3.0), 2)
    (tensor(1.3333, dtype=torch.float64), tensor(1))
    """
    low, high = low.double(), high.double()
    scale = (high - low) / (2**bits - 1)
    return scale, torch.where(scale > 0, (-low / scale).round(), 0).long()


class Uniform(Quantizer):
    """Evenly spaced levels between the ends of a calibrated range.

    bits         2 .. 16; 1 where not signed
    signed       False: levels 0 .. 2^b - 1 from a range [0, high], so it is a ReLU as well
    unsigned     make use of signed=False; False: a range about 0 for values that are never below
    symmetric    of a signed range; False keeps a zero point (per tensor)
    narrow       the restricted range; False takes the full range of the two's complement
    rounding     `dyadic.quantizers.rounding`
    calibration  `dyadic.quantizers.calibration`
    granularity  per_tensor, per_channel, per_group or per_block; the last two of `group_size`
    dynamic      fit every tensor, also after `observe`; else a range that was observed is static
    momentum     of the static range's moving average; None takes the extremes

    >>> quantizer = Uniform(bits=3)
    >>> quantizer(torch.tensor([-1.0, 0.2, 3.0]))
    tensor([-1.,  0.,  3.])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        unsigned: bool = True,
        symmetric: bool = True,
        narrow: bool = True,
        rounding: Rounding = nearest_even,
        calibration: Calibration = minmax,
        granularity: str = "per_tensor",
        group_size: int | None = None,
        dynamic: bool = False,
        momentum: float | None = MOMENTUM,
        ste: StraightThrough = clipped,
    ) -> None:
        signed = signed or not unsigned
        check_bits("a signed uniform quantizer" if signed else "Uniform", bits, 2 if signed else 1)
        super().__init__(bits, signed, ste)
        self.symmetric, self.narrow, self.dynamic = symmetric, narrow, dynamic
        self.rounding, self.calibration = rounding, calibration
        self.granularity = granularity_of(granularity, group_size)
        self.range = RunningRange(momentum)
        if signed and not symmetric and not isinstance(self.granularity, PerTensor):
            raise UserError(f"symmetric=False with granularity={granularity}; use per_tensor")

    def observe(self, x: Tensor) -> None:
        if self.dynamic:
            return
        if not isinstance(self.granularity, PerTensor):
            raise UserError("a static activation range is per tensor; use granularity=per_tensor")
        low, high = self._range(widened(x))
        self.range.update(low[0], high[0])

    def codebook(self, x: Tensor | None = None) -> Codebook:
        if self.range.known:
            return self._codebook(*self.range.ends)
        x = to_fit(self, x)
        low, high = self._range(x)
        spread = self.granularity.spread
        return self._codebook(spread(low, x.shape), spread(high, x.shape))

    def _range(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.granularity.rows(x)
        if not self.signed or not self.symmetric:
            return self.calibration(rows, self.bits, self.signed, self._grid)
        high = self.calibration(rows.abs(), self.bits - 1, False, self._grid)[1]
        return -high, high

    def _codebook(self, low: Tensor, high: Tensor) -> Codebook:
        return self._grid(low, high, self.rounding)

    def _grid(
        self, low: Tensor, high: Tensor, rounding: Rounding = nearest_even
    ) -> UniformCodebook:
        if not self.signed:
            lo, hi = 0, 2**self.bits - 1
            scale = high / hi
        elif self.symmetric:
            lo, hi, steps = symmetric_limits(self.bits, self.narrow)
            scale = high / steps
        else:
            scale, zero = affine_limits(low, high, self.bits)
            lo, hi = -zero.reshape(()), 2**self.bits - 1 - zero.reshape(())
            scale = scale.to(high.dtype)
        scale = scale.clamp_min(high.clamp(max=SMALLEST_SCALE))  # of numbers above 0 none is 0
        return UniformCodebook(scale, lo, hi, self.bits, rounding)
