"""Ternary weights: the nearest point of R+ x {-1, 0, +1}^n, or TWN's rule of thumb.

`exact` (OTWA of TSQ, Wang et al. 2018; BinaryRelax, Yin et al. 2018): with |w| sorted descending,

    r* = argmax_r (sum of the largest r)^2 / r,  alpha = mean of the largest r*

is the global optimum; its support is |w| > alpha / 2. `twn` (Li et al. 2016): the support is
|w| > 0.7 mean|w|, alpha its mean.
"""

from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from dyadic.errors import UserError, check_choice
from dyadic.quantizers.codebook import Codebook, octave, positive
from dyadic.quantizers.quantizer import ScaleOptions, WeightQuantizer, check_bits
from dyadic.quantizers.uniform_codebook import HALF_STEP, UniformCodebook

TWN_FACTOR = 0.7


def exact_alpha(rows: Tensor) -> Tensor:
    """The best alpha of each row [R, n]: mean of the largest r*, r* = argmax (top-r sum)^2 / r.

    >>> exact_alpha(torch.tensor([[3.0, -2.0, 0.4, 0.1]]))
    tensor([2.5000])
    """
    sums = rows.abs().sort(dim=1, descending=True).values.cumsum(dim=1, dtype=torch.float64)
    count = torch.arange(1, rows.shape[1] + 1, device=rows.device, dtype=torch.float64)
    best = (sums.square() / count).argmax(dim=1, keepdim=True)
    return (sums.gather(1, best) / (best + 1)).squeeze(1).to(rows.dtype)


def twn_alpha(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Threshold 0.7 mean|w| of each row [R, n], and the mean magnitude above it."""
    unit = octave(rows, dim=1)
    magnitudes = rows.abs() / unit
    threshold = TWN_FACTOR * magnitudes.mean(dim=1)
    above = magnitudes > threshold[:, None]
    alpha = (magnitudes * above).sum(dim=1) / above.sum(dim=1).clamp_min(1)
    return threshold * unit[:, 0], alpha * unit[:, 0]


class Ternary(WeightQuantizer):
    """Weights of {-alpha, 0, +alpha}.

    bits         2
    rule         `exact` or `twn`
    granularity  per_tensor, per_channel (TSQ), per_group or per_block of `group_size`; TWN is
                 defined per_tensor

    >>> Ternary()(torch.tensor([3.0, -2.0, 0.4, 0.1]))
    tensor([ 2.5000, -2.5000,  0.0000,  0.0000])
    """

    def __init__(
        self,
        bits: int = 2,
        signed: bool = True,
        *,
        rule: str = "exact",
        granularity: str = "per_tensor",
        **options: Unpack[ScaleOptions],
    ) -> None:
        check_bits("Ternary", bits, 2, 2)
        check_choice("rule", rule, ("exact", "twn"))
        if rule == "twn" and granularity != "per_tensor":
            raise UserError(f"rule=twn with granularity={granularity}; TWN is per_tensor")
        super().__init__(bits, signed, granularity=granularity, **options)
        self.exact = rule == "exact"

    def fitted(self, rows: Tensor, spread: Callable[[Tensor], Tensor]) -> Codebook:
        if self.exact:
            return UniformCodebook(spread(exact_alpha(rows)), -1, 1, self.bits)
        threshold, alpha = (statistic[0] for statistic in twn_alpha(rows))
        # Of zeros alone the threshold is no cut: they would fall on both sides of it.
        empty, alpha = alpha == 0, positive(alpha)
        cut = (threshold.double() / alpha.double()).masked_fill(empty, 0.5)
        return Codebook(
            alpha,
            torch.tensor([-1, 0, 1]),
            self.bits,
            boundaries=torch.stack([-cut, cut]),
            ties_up=False,
            margin=HALF_STEP,
        )
