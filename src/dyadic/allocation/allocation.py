"""Allocations: classes that give every layer its widths (`conf/allocation/*.yaml`)."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from dyadic.allocation.latency import LatencyTable
from dyadic.allocation.problem import MEASURES, Grid, Problem, grid
from dyadic.allocation.solve import Solution, solve
from dyadic.allocation.solvers.ilp import Cbc
from dyadic.allocation.solvers.knapsack import Solver
from dyadic.errors import UserError
from dyadic.network.insert import FLOAT, Bits

Width = int | Sequence[int]
"""One number for weights and activations, or the pair."""

Budget = float | str
"""A share of the way from all-low, 0, to all-high, 1; or a value with its unit: "0.1MiB"."""

MEDIUM = {"gbops": 0.5}  # the mixed rows of HAWQ-V3's Table 1


class Allocation(ABC):
    """Decides the widths of every layer before training starts."""

    @abstractmethod
    def assign(self, problem: Problem) -> dict[str, Bits]:
        """Layer name to (weight bits, activation bits); 32 leaves that side in float."""


@dataclass(frozen=True, kw_only=True)
class Exceptions(Allocation):
    """Widths that are not for an allocation to choose: the ends of the network, and overrides.

    first_bits, last_bits None: as all the others
    overrides       layer name to a width, or to [weight bits, activation bits]
    """

    first_bits: Width | None = 8
    last_bits: Width | None = 8
    overrides: Mapping[str, Width] = field(default_factory=dict)

    def exceptions(self, problem: Problem, float_activations: bool) -> dict[str, Bits]:
        """These layers' widths; one number leaves float activations float.

        Raises UserError for a layer that does not exist.
        """
        names = [layer.name for layer in problem.layers]
        for name in self.overrides:
            if name not in names:
                raise UserError(f"no layer is called {name}; the layers are {', '.join(names)}")
        ends = {names[0]: self.first_bits, names[-1]: self.last_bits}
        named = {k: width for k, width in ends.items() if width is not None} | dict(self.overrides)
        return {name: _pair(width, float_activations) for name, width in named.items()}


@dataclass(frozen=True)
class Fixed(Exceptions):
    """The same widths everywhere, but for the first and last layer and for `overrides`.

    activation_bits None leaves activations in float, in the first and last layer too
    """

    bits: int
    activation_bits: int | None = None
    first_bits: Width | None = field(default=None, kw_only=True)
    last_bits: Width | None = field(default=None, kw_only=True)

    def assign(self, problem: Problem) -> dict[str, Bits]:
        """Raises UserError for an override of a layer that does not exist."""
        uniform = (self.bits, self.activation_bits or FLOAT)
        bits = {layer.name: uniform for layer in problem.layers}
        return bits | self.exceptions(problem, self.activation_bits is None)


@dataclass(frozen=True)
class Constrained(Exceptions):
    """The widths of least Omega that meet every budget (HAWQ-V3, Eq. 12 to 14).

    choices  pairs [weight bits, activation bits] that a layer may take
    budget   of "size", "gbops", "latency", over the whole network. A number is a share: all-low
             plus that much of (all-high - all-low), 0 to 1; absolute is what has its unit, such as
             "0.1MiB", "0.6GBOPS", "3ms". Where none is given, half of the bit operations
    ties     a downsample convolution takes the widths of its block's first convolution
    latency_table   CSV of the device, as `python -m dyadic latency` writes it
    """

    choices: Sequence[Sequence[int]] = ((4, 4), (8, 8))
    budget: Mapping[str, Budget | None] = field(default_factory=dict)
    solver: Solver = field(default_factory=Cbc)
    ties: bool = True
    latency_table: str | None = None

    def __post_init__(self) -> None:
        for name, value in self.budgets.items():
            if name not in MEASURES:
                raise UserError(f"no budget is called {name}; they are {', '.join(MEASURES)}")
            _number(name, value)

    @property
    def budgets(self) -> dict[str, Budget]:
        """The budgets that are given."""
        return {name: value for name, value in self.budget.items() if value is not None}

    def assign(self, problem: Problem) -> dict[str, Bits]:
        """Raises UserError where no allocation meets the budgets."""
        return self.solution(problem).bits

    def solution(self, problem: Problem) -> Solution:
        """The widths with what they come to, for a record."""
        table = self.grid(problem)
        return solve(table, self.limits(table), self.solver)

    def spent(
        self, problem: Problem, bits: Mapping[str, Bits]
    ) -> dict[str, dict[str, float | None]]:
        """What these widths use of every budget, each in its unit: `used` and `limit`.

        With a latency table the predicted latency too; `limit` is None where it has no budget.
        """
        table = self.grid(replace(problem, omega=lambda *_: 0.0))
        limits, costs = self.limits(table), self._measured(problem)
        return {
            name: {
                "used": sum(MEASURES[name].cost(costs, x, bits[x.name]) for x in problem.layers)
                / MEASURES[name].unit,
                "limit": limits[name] / MEASURES[name].unit if name in limits else None,
            }
            for name in table.cost
            if name in limits or name == "latency"
        }

    def _measured(self, problem: Problem) -> Problem:
        """The problem with the device's latencies, where there is a table."""
        if self.latency_table is None:
            return problem
        return replace(problem, latency=LatencyTable.read(self.latency_table))

    def grid(self, problem: Problem) -> Grid:
        """The choices of every group of layers, and their costs."""
        choices = [(int(weight), int(activation)) for weight, activation in self.choices]
        is_float = all(activation == FLOAT for _, activation in choices)
        fixed = self.exceptions(problem, is_float)
        problem = self._measured(problem)
        return grid(problem if self.ties else replace(problem, ties={}), choices, fixed)

    def limits(self, table: Grid) -> dict[str, int]:
        """Every budget in whole units."""
        limits = {}
        for name, value in (self.budgets or MEDIUM).items():
            number, is_share = _number(name, value)
            units = int(number * MEASURES[name].unit)
            limits[name] = table.limit(name, float(number)) if is_share else units
        return limits


def _pair(width: Any, float_activations: bool) -> Bits:
    if isinstance(width, int):
        return width, FLOAT if float_activations else width
    weight, activation = width
    return int(weight), int(activation)


def _number(name: str, budget: Budget) -> tuple[Fraction, bool]:
    """The number that a budget says, and whether it is a share; UserError for what is neither."""
    unit, text = MEASURES[name].name, str(budget).strip()
    is_share = not text.endswith(unit)
    with contextlib.suppress(ValueError):
        number = Fraction(text.removesuffix(unit).strip())
        if number >= 0 and (number <= 1 or not is_share):
            return number, is_share
    raise UserError(
        f"budget {name}={budget} is no share from 0 (all low) to 1 (all high); "
        f"an absolute budget has its unit, as in 0.5{unit}"
    )
