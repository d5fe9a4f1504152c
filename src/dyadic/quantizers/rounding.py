"""Rounding rules of uniform quantization, real ratios `x / scale` to integers.

Each rule may overwrite its argument, a temporary that nobody else reads (an allocation less in
every training step). Gholami et al., sections III-B and III-H.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Rounding = Callable[[Tensor], Tensor]


def nearest_even(ratio: Tensor) -> Tensor:
    """To the nearest integer, ties to the even one (IEEE 754; ATen's fake quantization)."""
    return ratio.round_()


def half_up(ratio: Tensor) -> Tensor:
    """To the nearest integer, ties up: the rule of the integer program's requantization."""
    # Not floor(ratio + 0.5): that sum rounds 0.49999997 up to 1.
    lower = ratio.floor()
    return lower.add_(ratio.sub_(lower) >= 0.5)


def floor(ratio: Tensor) -> Tensor:
    """To the integer below (truncation of the two's complement)."""
    return _snapped(ratio).floor_()


def ceil(ratio: Tensor) -> Tensor:
    """To the integer above."""
    return _snapped(ratio).ceil_()


class Stochastic(nn.Module):
    """Up with the probability of the fraction, so that the mean is kept: E[Q(x)] = x.

    The noise has a stream of its own, a function of `seed` and of the number of draws so far, which
    is in the checkpoint: a resumed run draws what the uninterrupted one would have drawn. In
    evaluation mode it rounds to the nearest, ties to even: a deployed network has fixed codes.

    >>> rounding = Stochastic(seed=0)
    >>> round(rounding(torch.full((10000,), 0.25)).mean().item(), 2)
    0.25
    """

    draws: Tensor  # the count, for checkpoints; to read it would wait for its device

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed, self.count = seed, 0
        self.register_buffer("draws", torch.tensor(0))

    def forward(self, ratio: Tensor) -> Tensor:
        if not self.training:
            return nearest_even(ratio)
        generator = torch.Generator(ratio.device).manual_seed(self.seed + self.count)
        self.count += 1
        self.draws.fill_(self.count)
        noise = torch.rand(ratio.shape, generator=generator, dtype=ratio.dtype, device=ratio.device)
        return noise.add_(_snapped(ratio)).floor_()

    def _load_from_state_dict(self, *state: Any) -> None:
        super()._load_from_state_dict(*state)
        self.count = int(self.draws)


def _snapped(ratio: Tensor) -> Tensor:
    """An integer where the ratio is one but for the rounding of `x / scale`.

    Without it a code k whose value divides back to k - 2**-22 would be floored to k - 1.
    """
    nearest = ratio.round()
    tolerance = 4 * torch.finfo(ratio.dtype).eps * nearest.abs()
    return torch.where((ratio - nearest).abs() <= tolerance, nearest, ratio)
