"""Learning-rate curves: a factor on the base rate, as a function of progress from 0 to 1."""

import math
from collections.abc import Callable

from dyadic.errors import UserError
from dyadic.schedules.schedule import Phase

Curve = Callable[[float], float]


def cosine(progress: float) -> float:
    """(1 + cos(pi * p)) / 2: from 1 to 0 (Loshchilov & Hutter 2017, Eq. 5).

    >>> cosine(0.0), round(cosine(0.5), 6), cosine(1.0)
    (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


class Warm:
    """A linear rise over the first `warmup` of the way, then a curve over the rest of it."""

    def __init__(self, curve: Curve, warmup: float) -> None:
        if not 0 <= warmup < 1:
            raise UserError(f"warmup={warmup}; it is a share of training, 0 up to below 1")
        self.curve, self.warmup = curve, warmup

    def __call__(self, progress: float) -> float:
        if progress < self.warmup:
            return max(progress / self.warmup, 0.01)
        return self.curve((progress - self.warmup) / (1 - self.warmup))


class WarmCosine(Warm):
    """A linear rise over the first `warmup` of the way, then a cosine to 0."""

    def __init__(self, warmup: float = 0.2) -> None:
        super().__init__(cosine, warmup)


class Polynomial(Warm):
    """1 - p: the polynomial decay of power 1 of HWGQ and TSQ."""

    def __init__(self, warmup: float = 0.0) -> None:
        super().__init__(lambda progress: 1.0 - progress, warmup)


class Steps(Warm):
    """`gamma` to the power of the milestones passed; milestones are shares of the way."""

    def __init__(self, milestones: list[float], gamma: float = 0.1, warmup: float = 0.0) -> None:
        passed = list(milestones)
        super().__init__(lambda progress: gamma ** sum(progress >= m for m in passed), warmup)


def progress_in_segment(phases: list[Phase], epoch: float) -> float:
    """How far `epoch` is between the last restart at or before it and the next, 0 to 1."""
    start, segments = 0, [0]
    for phase in phases:
        if phase.restart:
            segments.append(start)
        start += phase.epochs
    bounds = [*segments, max(start, 1)]
    index = max(i for i, s in enumerate(segments) if s <= epoch or i == 0)
    length = max(bounds[index + 1] - bounds[index], 1)
    return min((epoch - bounds[index]) / length, 1.0)
