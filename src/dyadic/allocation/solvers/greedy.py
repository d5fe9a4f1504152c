"""Greedy allocation: give up bits where they cost the least omega for what they save."""

from collections.abc import Sequence

import numpy as np

from dyadic.allocation.solvers.knapsack import Knapsack, Picks


def greedy(knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
    """From the best omega of every group, the cheapest step down until every budget is met.

    A step gives one group a choice that raises no cost. It is worth its saving, summed over the
    exceeded budgets in units of what is still to be saved there, over the omega that it adds.
    `start` is unused: a greedy path has one beginning. None where the path ends too early.
    """
    picks = [int(np.argmin(omega)) for omega in knapsack.omega]
    while np.any(excess := np.maximum(knapsack.costs(picks) - knapsack.limit, 0)):
        weight = np.divide(1.0, excess, out=np.zeros(len(excess)), where=excess > 0)
        worth = [
            _worth(omega, cost, pick, weight)
            for omega, cost, pick in zip(knapsack.omega, knapsack.cost, picks, strict=True)
        ]
        group = int(np.argmax([row.max() for row in worth]))
        if worth[group].max() <= 0:
            return None
        picks[group] = int(np.argmax(worth[group]))
    return Picks(picks, proven=False)


def _worth(omega: np.ndarray, cost: np.ndarray, pick: int, weight: np.ndarray) -> np.ndarray:
    """Weighted saving per omega added, of every choice against `pick`; 0 where a cost rises."""
    saving = cost[pick] - cost
    added = np.maximum(omega - omega[pick], np.finfo(float).tiny)
    return np.where((saving >= 0).all(axis=1), saving @ weight, 0.0) / added
