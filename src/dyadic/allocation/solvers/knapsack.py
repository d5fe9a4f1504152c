"""The problem under every budget: a multiple-choice knapsack, and what a solver of it is.

Each group of layers takes one of its choices; the sum of omega is to be small while every cost
stays within its limit. Costs are integers, so "within" is exact and no tolerance of a solver can
hide in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Knapsack:
    """Minimise sum_g omega[g][pick_g] subject to sum_g cost[g][pick_g] <= limit.

    omega float64 [choices] per group
    cost  int64 [choices, budgets] per group
    limit int64 [budgets]
    """

    omega: Sequence[np.ndarray]
    cost: Sequence[np.ndarray]
    limit: np.ndarray

    def objective(self, picks: Sequence[int]) -> float:
        """Sum of omega over the picked choices."""
        return float(sum(row[pick] for row, pick in zip(self.omega, picks, strict=True)))

    def costs(self, picks: Sequence[int]) -> np.ndarray:
        """Sum of the picked costs, int64 [budgets]."""
        return np.sum([row[pick] for row, pick in zip(self.cost, picks, strict=True)], axis=0)

    def fits(self, picks: Sequence[int]) -> bool:
        """Whether every cost is within its limit."""
        return bool(np.all(self.costs(picks) <= self.limit))

    def least(self) -> np.ndarray:
        """The smallest value that each cost can take on its own, int64 [budgets]."""
        return np.sum([row.min(axis=0) for row in self.cost], axis=0)


@dataclass(frozen=True)
class Picks:
    """One choice per group, and whether the solver proved it within its stated gap."""

    choice: list[int]
    proven: bool


class Solver(Protocol):
    """Solves a knapsack; `start` may be a feasible solution of a neighbouring problem."""

    def __call__(self, knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
        """A feasible choice, or None where there is none."""
        ...
