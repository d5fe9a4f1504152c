"""Optimal quantizers of N(0, 1): levels and steps from the conditions of Lloyd and Max.

A quantizer that minimises E[(Q(x) - x)^2] has its boundaries at the midpoints of its levels, and
its levels are the best for their cells. With

    M0(a, b) = Phi(b) - Phi(a),  M1(a, b) = phi(a) - phi(b)      (mass and first moment of a cell)

a free level is M1 / M0, and the step of levels k * step is sum(k * M1) / sum(k^2 * M0).
All tables of HWGQ, TSQ and Lin & Talathi follow; none is typed in.
"""

import math
from functools import cache

import torch
from torch import Tensor

from dyadic.quantizers.codebook import octave

ITERATIONS = 100_000  # a bound: 15 levels take 2000
TOLERANCE = 1e-13
GRID = 4000  # steps that are tried before the best one is made exact
FAR = 6.0  # no optimal level is further out than the mean beyond a cut, plus this


def _moments(cuts: Tensor) -> tuple[Tensor, Tensor]:
    """M0 and M1 of the cells between ascending cuts [..., K], float64, the last cell open."""
    density = torch.exp(-cuts.square() / 2) / math.sqrt(2 * math.pi)
    tail = torch.special.erfc(cuts / math.sqrt(2)) / 2
    zero = torch.zeros_like(cuts[..., :1])
    return -torch.cat([tail, zero], -1).diff(), -torch.cat([density, zero], -1).diff()


def _middles(levels: Tensor, first: Tensor) -> Tensor:
    """Cuts [..., K] at `first` [..., 1] and at the midpoints of the levels, none below `first`."""
    middles = (levels[..., 1:] + levels[..., :-1]) / 2
    return torch.cat([first, torch.maximum(middles, first)], -1)


@cache
def lloyd_levels(count: int) -> tuple[float, ...]:
    """The `count` positive levels that are optimal for x > 0, with no dead zone (HWGQ, Eq. 7).

    >>> [round(level, 4) for level in lloyd_levels(2)]
    [0.4528, 1.5104]
    """
    levels = 3 * (torch.arange(count, dtype=torch.float64) + 0.5) / count
    for _ in range(ITERATIONS):
        mass, first = _moments(_middles(levels, levels.new_zeros(1)))
        levels, before = first / mass, levels
        if (levels - before).abs().max() < TOLERANCE:
            break
    return tuple(levels.tolist())


@cache
def optimal_step(lowest: float, count: int, first_cut: float | None = None) -> float:
    """The step that minimises the error of the levels k * step for x > 0, over all steps.

    k = lowest, lowest + 1, ...: `count` of them, lowest = 1 or (mid-rise) 1/2. With a first cut far
    out the error has several minima, so a grid finds the lowest and bisection its bottom.
    first_cut  where the lowest level's cell begins (what is below is not counted): 0 is HWGQ's
               uniform quantizer, eps TSQ's; None is the midpoint to 0, so that the zero cell counts

    >>> round(optimal_step(1, 3, first_cut=0.0), 4), round(optimal_step(1, 3), 4)
    (0.5388, 0.6508)
    """
    k = lowest + torch.arange(count, dtype=torch.float64)

    def sums(step: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of k^2 M0 and k M1 for steps [..., 1]: the error is step^2 the first - 2 step the
        second, but for a constant; it falls while step times the first is below the second.
        """
        first = lowest * step / 2 if first_cut is None else torch.full_like(step, first_cut)
        mass, moment = _moments(_middles(k * step, first))
        return (k * k * mass).sum(-1), (k * moment).sum(-1)

    highest = ((first_cut or 0.0) + FAR) / lowest
    grid = torch.linspace(0, highest, GRID + 1, dtype=torch.float64)
    square, product = sums(grid[:, None])
    best = (grid.square() * square - 2 * grid * product).argmin()
    low, high = float(grid[(best - 1).clamp_min(0)]), float(grid[(best + 1).clamp_max(GRID)])
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        square, product = sums(torch.tensor([middle], dtype=torch.float64))
        low, high = (middle, high) if middle * square < product else (low, middle)
    return (low + high) / 2


def mid_rise_step(bits: int) -> float:
    """The optimal step of 2^bits levels +-step/2, +-3 step/2, ... for N(0, 1).

    >>> [round(mid_rise_step(b), 4) for b in (1, 2, 3, 4, 5)]
    [1.5958, 0.9957, 0.586, 0.3352, 0.1881]
    """
    return optimal_step(0.5, 2 ** (bits - 1), first_cut=0.0)


def standard_deviation(x: Tensor, signed: bool) -> Tensor:
    """Sigma of a zero-mean x; of its positive half alone, sqrt(2 mean(x_+^2)), where not signed.

    Shape (), float64: the sum of many small squares does not fit float32.
    """
    x = x if signed else x.clamp_min(0)
    unit = octave(x)
    power = (x / unit).square().mean(dtype=torch.float64) * unit.double().square()
    return (power if signed else 2 * power).sqrt()
