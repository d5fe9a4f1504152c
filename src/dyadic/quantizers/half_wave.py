"""Half-wave Gaussian activations: HWGQ (Cai et al. 2017), its rounded form, and TSQ's sparse one.

    Q(x) = q_i for x in (t_i, t_{i+1}],  Q(x) = 0 for x <= t_1

with levels that are optimal for x ~ N(0, 1), as after a batch norm without scale and shift; any
other input is measured by its standard deviation. They differ in the dead zone [0, t_1]: HWGQ has
none, t_1 = 0: every positive x, however small, becomes at least q_1.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass
from statistics import NormalDist
from typing import TypedDict, Unpack

import torch
from torch import Tensor

from dyadic.errors import UserError, check_choice
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.gaussian import lloyd_levels, optimal_step, standard_deviation
from dyadic.quantizers.quantizer import Quantizer, check_bits, to_fit
from dyadic.quantizers.statistics import MOMENTUM, RunningMean
from dyadic.quantizers.straight_through import StraightThrough, half_wave_clipped
from dyadic.quantizers.uniform_codebook import LARGEST_SCALE

FINE = 2.0**-10  # grid of the non-uniform levels: integers for the program, errors below 2^-11


@dataclass(frozen=True)
class UnitLevels:
    """A quantizer of N(0, 1): levels `unit * integers` (0 first), boundaries in the same units."""

    unit: float
    integers: Tensor
    cuts: Tensor


def uniform_grid(step: float, count: int, first_cut: float) -> UnitLevels:
    """Levels step * (0 .. count), boundaries first_cut and (k - 1/2) * step.

    Levels within the dead zone are left out: their values would be quantized to 0.
    """
    zero, lowest = first_cut / step, math.floor(first_cut / step) + 1
    k = torch.arange(lowest, count + 1)
    cuts = torch.cat([torch.tensor([zero], dtype=torch.float64), k[1:] - 0.5])
    return UnitLevels(step, torch.cat([torch.zeros_like(k[:1]), k]), cuts)


def lloyd_grid(count: int) -> UnitLevels:
    """Lloyd's levels, each rounded to a multiple of 2^-10, boundaries at their midpoints and 0."""
    positive = (torch.tensor(lloyd_levels(count), dtype=torch.float64) / FINE).round().long()
    middles = (positive[1:] + positive[:-1]) / 2.0
    zero = torch.zeros(1)
    return UnitLevels(FINE, torch.cat([zero.long(), positive]), torch.cat([zero, middles]).double())


class HalfWaveOptions(TypedDict, total=False):
    """What every half-wave quantizer takes beside options of its own."""

    sigma: str
    momentum: float
    ste: StraightThrough


class HalfWaveQuantizer(Quantizer):
    """A grid for N(0, 1), stretched by the input's standard deviation.

    bits      1 .. 8
    sigma     `running`: sqrt(2 mean(x_+^2)), averaged over the observed batches; `unit`: 1, for use
              after a batch norm without scale and shift (the paper)
    momentum  of that average
    """

    def __init__(
        self,
        bits: int,
        signed: bool = False,
        *,
        sigma: str = "running",
        momentum: float = MOMENTUM,
        ste: StraightThrough = half_wave_clipped,
    ) -> None:
        check_bits(type(self).__name__, bits, 1, 8)
        check_choice("sigma", sigma, ("running", "unit"))
        if signed:
            raise UserError(f"{type(self).__name__} is for non-negative activations; signed=False")
        super().__init__(bits, signed, ste)
        self.unit_sigma = sigma == "unit"
        self.sigma = RunningMean(momentum)
        self.grid = self._grid()

    @abstractmethod
    def _grid(self) -> UnitLevels:
        """The quantizer of N(0, 1)."""

    def observe(self, x: Tensor) -> None:
        if not self.unit_sigma:
            self.sigma.update(standard_deviation(x, signed=False))

    def codebook(self, x: Tensor | None = None) -> Codebook:
        largest = int(self.grid.integers[-1])
        scale = (self._sigma(x) * self.grid.unit).clamp(max=LARGEST_SCALE / largest)
        return Codebook(scale, self.grid.integers, self.bits, self.grid.cuts, ties_up=False)

    def _sigma(self, x: Tensor | None) -> Tensor:
        if self.unit_sigma:
            return torch.ones((), dtype=torch.float64)
        if self.sigma.known:
            return self.sigma.value
        sigma = standard_deviation(to_fit(self, x), signed=False)
        return torch.where(sigma > 0, sigma, 1.0)


class HalfWave(HalfWaveQuantizer):
    """HWGQ: no dead zone, so x > 0 becomes at least the lowest positive level.

    bits     1 .. 8 uniform, 1 .. 4 not
    uniform  levels step * k with the best step; False: Lloyd's levels on a grid of 2^-10
    count    positive levels, 2^bits - 1 if not given (the paper's ablation has 2 of 2 bits)

    >>> quantizer = HalfWave(bits=2, sigma="unit")
    >>> quantizer(torch.tensor([-1.0, 1e-6, 1.0, 9.0]))
    tensor([0.0000, 0.5388, 1.0776, 1.6164])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = False,
        *,
        uniform: bool = True,
        count: int | None = None,
        **options: Unpack[HalfWaveOptions],
    ) -> None:
        if not uniform:
            check_bits("HalfWave with Lloyd's levels", bits, 1, 4)
        self.uniform, self.count = uniform, 2**bits - 1 if count is None else count
        if not 1 <= self.count < 2**bits:
            raise UserError(f"count={count} positive levels at {bits} bits; 1 to {2**bits - 1} fit")
        super().__init__(bits, signed, **options)

    def _grid(self) -> UnitLevels:
        if not self.uniform:
            return lloyd_grid(self.count)
        step = optimal_step(1, self.count, first_cut=0.0)
        return uniform_grid(step, self.count, first_cut=0.0)


class RoundedHalfWave(HalfWaveQuantizer):
    """HWGQ's uniform step with rounding to the nearest level, as EdMIPS (Cai & Vasconcelos 2020).

    The step is HWGQ's, though it is not optimal with the dead zone [0, step / 2] of the rounding.
    """

    def _grid(self) -> UnitLevels:
        count = 2**self.bits - 1
        step = optimal_step(1, count, first_cut=0.0)
        return uniform_grid(step, count, first_cut=step / 2)


class SparseHalfWave(HalfWaveQuantizer):
    """TSQ's sparse quantization (Wang et al. 2018, Eqs. 4 to 6): the share theta becomes 0.

    eps = Phi^-1(theta), and the step minimises E[(Q(x) - x)^2 | x > eps]: the dead zone's own error
    does not count. Boundaries eps and (k - 1/2) * step. Levels up to eps are not in the codebook
    (the paper is silent; none at its 2 bits, some at 3 bits from 75 % or at 4 bits from 62.5 %).

    theta  share of zeros for x ~ N(0, 1), 0.5 (HWGQ) to below 1

    >>> quantizer = SparseHalfWave(bits=2, theta=0.625)
    >>> round(quantizer.grid.unit, 3), round(float(quantizer.grid.cuts[0]) * quantizer.grid.unit, 3)
    (0.648, 0.319)
    """

    def __init__(
        self,
        bits: int,
        signed: bool = False,
        *,
        theta: float = 0.625,
        **options: Unpack[HalfWaveOptions],
    ) -> None:
        if not 0.5 <= theta < 1:
            raise UserError(f"theta={theta}; a sparsity of at least 0.5 and below 1 is right")
        self.theta = theta
        super().__init__(bits, signed, **options)

    def _grid(self) -> UnitLevels:
        count, eps = 2**self.bits - 1, NormalDist().inv_cdf(self.theta)
        step = optimal_step(1, count, first_cut=eps)
        return uniform_grid(step, count, first_cut=eps)
