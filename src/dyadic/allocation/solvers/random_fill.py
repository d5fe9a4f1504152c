"""A random allocation of a budget: what a sensitivity has to beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dyadic.allocation.solvers.knapsack import Knapsack, Picks


@dataclass(frozen=True)
class RandomFill:
    """From the cheapest choice everywhere, random other choices as long as they fit.

    Blind to omega, and as full as the budget allows: every choice of every group is offered once.
    """

    seed: int = 0

    def __call__(self, knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
        """A feasible choice; None where the cheapest choices exceed a budget. `start` is unused."""
        picks = [int(np.argmin(cost.sum(axis=1))) for cost in knapsack.cost]
        offers = [
            (group, choice)
            for group, row in enumerate(knapsack.omega)
            for choice in range(len(row))
        ]
        for index in np.random.default_rng(self.seed).permutation(len(offers)):
            group, choice = offers[index]
            dearer = (knapsack.cost[group][choice] > knapsack.cost[group][picks[group]]).any()
            offer = [*picks[:group], choice, *picks[group + 1 :]]
            if dearer and knapsack.fits(offer):
                picks = offer
        return Picks(picks, proven=False) if knapsack.fits(picks) else None
