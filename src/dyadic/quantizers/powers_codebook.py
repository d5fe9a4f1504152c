"""The codebook of powers on a logarithmic scale: the exponent is read from the float's bits."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dyadic.quantizers.codebook import SQRT2, Codebook, widened

MANTISSA_BITS = 23  # of float32
OCTAVE = 1 << MANTISSA_BITS  # one octave, as float32's bits count it
EXPONENT = 0x7F800000
HALF_OCTAVE = float(np.float32(SQRT2)) - 1  # exact, so 2^e * (1 + this) is float32's sqrt(2) * 2^e
NORMAL = (2.0**-125, 2.0**126)  # octaves with normal neighbours on both sides


def round_octave(x: Tensor, cut: float) -> Tensor:
    """2^e of x = m * 2^e, 1 <= m < 2, or 2^(e+1) where m >= cut; x float32, not negative.

    The first mantissa that is not below the cut decides, so this is exact. In place.
    """
    first = math.ceil((cut - 1) * OCTAVE)
    return x.view(torch.int32).add_(OCTAVE - first).bitwise_and_(EXPONENT).view(torch.float32)


def round_power(x: Tensor, steps: int, edge: float) -> Tensor:
    """The largest power p of 2^(1/steps), steps 1 or 2, with edge * p <= x; x as `round_octave`.

    Base sqrt(2): octaves that begin at sqrt(2) * edge and at 2 * edge differ just where x goes to
    sqrt(2) * 2^e. In place.

    >>> round_power(torch.tensor([0.0, 1.4, 1.5, 3.0]), steps=2, edge=0.5**0.25)
    tensor([0.0000, 1.4142, 1.4142, 2.8284])
    """
    if steps == 1:
        return round_octave(x, 2 * edge)
    upper, lower = round_octave(x.clone(), SQRT2 * edge), round_octave(x, 2 * edge)
    return lower.add_(upper.sub_(lower), alpha=HALF_OCTAVE)


@dataclass(frozen=True, eq=False)
class PowersCodebook(Codebook):
    """Zero and consecutive powers of 2^(1/steps), mirrored or not; `edge * p` is the first of p's.

    With one scale for all a processor quantizes without a search, to the same values; not float64.
    """

    steps: int = 1
    edge: float = 0.5**0.5

    def __call__(self, x: Tensor) -> Tensor:
        wide = widened(x)
        if wide.dtype != torch.float32 or self.scale.ndim > 0 or x.device.type != "cpu":
            return super().__call__(x)  # another device would be waited for, to read the scale
        first = -int((self.levels > 0).sum())
        lowest, largest = (float(self.scale) * self.levels[i].item() for i in (first, -1))
        if lowest < NORMAL[0] or largest > NORMAL[1]:
            return super().__call__(x)  # the bits of an octave end here
        signed = self.levels[0] < 0
        magnitude = wide.abs().clamp_(max=largest) if signed else wide.clamp(0, largest)
        value = torch.threshold_(round_power(magnitude, self.steps, self.edge), 0.9 * lowest, 0.0)
        return (value.copysign_(wide) if signed else value).to(x.dtype)
