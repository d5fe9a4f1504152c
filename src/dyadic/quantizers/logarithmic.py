"""Logarithmic quantization, base 2 or sqrt(2) (LogQuant: Miyashita, Lee, Murmann 2016).

    LogQuant(x) = sign(x) * base^k,  k = Clip(Round(log_base |x|)),  or 0 below the lowest cell

Nearest on the logarithmic scale: |x| goes to base^k for base^(k - 1/2) <= |x| < base^(k + 1/2)
(`nearest`), or for base^k <= |x| < base^(k + 1) (`floor`, a leading-one detector). The paper's Clip
read literally makes 1 (exponent 0) of tiny values: here the code below the lowest exponent is the
value 0, and its cell ends where the lowest exponent's begins.

Full-scale range: the paper's FSR is one above the largest exponent, which is fitted here.
"""

import torch
from torch import Tensor

from dyadic.errors import check_choice
from dyadic.quantizers.codebook import SQRT2, Codebook, widened
from dyadic.quantizers.granularity import PerTensor, granularity_of
from dyadic.quantizers.powers_codebook import PowersCodebook
from dyadic.quantizers.quantizer import Quantizer, check_bits, to_fit
from dyadic.quantizers.search import least_error
from dyadic.quantizers.statistics import MOMENTUM, RunningMean
from dyadic.quantizers.straight_through import StraightThrough, identity

OCTAVES = 128  # of float32 above 1
MOST_OCTAVES = 30  # integers stay below 2^31
SEARCHED_OCTAVES = 4  # how far below the largest value the search for the range goes
FLOAT_EDGE = 1 - 2.0**-21.5  # a level that float32 rounded down is floored to itself; no float32


def integers_of(count: int, steps: int) -> Tensor:
    """Levels base^k, k = 0 .. count - 1: int64 [count], or [2, count] as a + b * sqrt(2).

    steps per octave: 1 for base 2, 2 for base sqrt(2), where even k is 2^(k/2) and odd k is
    2^((k-1)/2) * sqrt(2).

    >>> integers_of(4, steps=2)
    tensor([[1, 0, 2, 0],
            [0, 1, 0, 2]])
    """
    k = torch.arange(count)
    if steps == 1:
        return 2**k
    power = 2 ** (k // 2)
    return torch.stack([power * (1 - k % 2), power * (k % 2)])


def power(k: Tensor, steps: int) -> Tensor:
    """base^k for integer k, base 2^(1/steps), float64: exact for whole octaves.

    >>> power(torch.tensor([1, -2]), steps=2).tolist()
    [1.4142135623730951, 0.5]
    """
    octaves = torch.div(k, steps, rounding_mode="floor")
    remainder = torch.ones_like(k, dtype=torch.float64).masked_fill(k % steps != 0, SQRT2)
    return torch.ldexp(remainder, octaves)


def logarithmic_codebook(
    lowest: Tensor, count: int, steps: int, signed: bool, floor: bool, bits: int
) -> Codebook:
    """Zero and base^k for k = lowest .. lowest + count - 1, mirrored where signed.

    lowest has the scale's shape, in steps of the base; the scale is float64.
    """
    positive = torch.atleast_2d(integers_of(count, steps))
    zero = torch.zeros(len(positive), 1, dtype=torch.int64)
    negative = [-positive.flip(1)] if signed else []
    integers = torch.cat([*negative, zero, positive], dim=1)
    base = 2.0 ** (1 / steps)
    edge = FLOAT_EDGE if floor else base**-0.5
    cuts = edge * power(torch.arange(count), steps)
    return PowersCodebook(
        power(lowest, steps),
        integers.squeeze(0),
        bits,
        torch.cat([-cuts.flip(0), cuts]) if signed else cuts,
        margin=(base * edge - 1) * base ** (count - 1),
        steps=steps,
        edge=edge,
    )


class Logarithmic(Quantizer):
    """Zero and the powers of the base, with a fitted full-scale range.

    bits         1 .. 8 (2 .. 8 where the sign is inside), zero's code included: 2^b - 1 exponents,
                 2^(b-1) - 1 where the sign is one of the bits; never more than 31 octaves
    base         2 or "sqrt2"
    sign         `inside` the bits, or `extra`: one more bit is stored
    rounding     `nearest` (geometric midpoints) or `floor`
    fsr          largest exponent from the `max` of |x|, or by `mse`: the largest or up to 4 octaves
                 less
    offset       added to the largest exponent, in steps of the base (the paper sweeps it)
    granularity  per_tensor (the paper), per_channel, or per_group or per_block of `group_size`
    dynamic      fit every tensor, also after `observe`
    momentum     of the static range, averaged on the logarithmic scale

    >>> Logarithmic(bits=3, signed=False)(torch.tensor([4.0, 2.9, 2.8, 1.0, 1e-6]))
    tensor([4., 4., 2., 1., 0.])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        base: int | str = 2,
        sign: str = "inside",
        rounding: str = "nearest",
        fsr: str = "max",
        offset: int = 0,
        granularity: str = "per_tensor",
        group_size: int | None = None,
        dynamic: bool = False,
        momentum: float = MOMENTUM,
        ste: StraightThrough = identity,
    ) -> None:
        check_choice("base", base, (2, "sqrt2"))
        check_choice("sign", sign, ("inside", "extra"))
        check_choice("rounding", rounding, ("nearest", "floor"))
        check_choice("fsr", fsr, ("max", "mse"))
        inside = signed and sign == "inside"
        check_bits("a logarithmic quantizer" + " with a sign" * inside, bits, 1 + inside, 8)
        super().__init__(bits, signed, ste)
        self.steps = 1 if base == 2 else 2
        self.count = min(2 ** (bits - inside) - 1, MOST_OCTAVES * self.steps + 1)
        self.stored_bits = bits + (signed and not inside)
        self.floor, self.fsr, self.offset = rounding == "floor", fsr, offset
        self.granularity, self.dynamic = granularity_of(granularity, group_size), dynamic
        self.top = RunningMean(momentum)

    def observe(self, x: Tensor) -> None:
        if not self.dynamic and isinstance(self.granularity, PerTensor):
            self.top.update(self._top(self.granularity.rows(widened(x)))[0])

    def codebook(self, x: Tensor | None = None) -> Codebook:
        if self.top.known:
            return self._codebook(self.top.value)
        x = to_fit(self, x)
        rows = self.granularity.rows(x)
        return self._codebook(self.granularity.spread(self._top(rows), x.shape))

    def _top(self, rows: Tensor) -> Tensor:
        """log_base of the largest value, or the whole k of the best range, float64 [R]."""
        largest = (rows.abs() if self.signed else rows).amax(dim=1).double()
        top = self.steps * torch.where(largest > 0, largest, 1.0).log2()
        if self.fsr == "max":
            return top
        lower = (top - k for k in range(SEARCHED_OCTAVES * self.steps + 1))
        return self._whole(least_error(rows, lower, lambda t: self._codebook(t[:, None])))

    def _whole(self, top: Tensor) -> Tensor:
        # 1e-9: the logarithm of a power of the base may come out just below its exponent.
        whole = (top + 1e-9).floor() if self.floor else top.round()
        return whole.clamp(max=OCTAVES * self.steps - 1)

    def _codebook(self, top: Tensor) -> Codebook:
        lowest = self._whole(top).long() + self.offset - self.count + 1
        return logarithmic_codebook(
            lowest, self.count, self.steps, self.signed, self.floor, self.stored_bits
        )
