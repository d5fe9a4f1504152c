"""Closing the gap exactly: every combination that the bound leaves open, group by group.

A combination lifts the Lagrangian bound by the sum of its choices' rises, so partial combinations
whose rise exceeds the gap, or whose cost cannot be completed within a budget, are dropped as they
grow (Nemhauser and Ullmann 1969, with a bound). All costs are integers, so the result needs no
solver's tolerance to be believed.
"""

import numpy as np

from dyadic.allocation.solvers.knapsack import Knapsack
from dyadic.allocation.solvers.reduction import Reduced


def best_within_gap(knapsack: Knapsack, reduced: Reduced, most: int) -> list[int] | None:
    """The optimum; None where there is no incumbent or more than `most` partial combinations."""
    if reduced.incumbent is None:
        return None
    # The widest-ranging groups first: their rises fill the gap soonest.
    order = sorted(range(len(reduced.kept)), key=lambda g: -float(reduced.rise[g].max()))
    costs = [knapsack.cost[g][reduced.kept[g]] for g in order]
    least = np.stack([cost.min(axis=0) for cost in costs])
    room = knapsack.limit - (least.sum(axis=0) - least.cumsum(axis=0))
    rise, omega = np.zeros(1), np.zeros(1)
    spent = np.zeros((1, len(knapsack.limit)), dtype=np.int64)
    steps: list[tuple[np.ndarray, np.ndarray]] = []
    for group, cost, allowed in zip(order, costs, room, strict=True):
        kept = reduced.kept[group]
        rise = (rise[:, None] + reduced.rise[group]).ravel()
        omega = (omega[:, None] + knapsack.omega[group][kept]).ravel()
        spent = (spent[:, None] + cost).reshape(len(rise), -1)
        alive = np.flatnonzero((rise <= reduced.gap) & (spent <= allowed).all(axis=1))
        if spent.shape[1] == 1:
            alive = alive[_undominated(omega[alive], spent[alive, 0])]
        if len(alive) > most:
            return None
        rise, omega, spent = rise[alive], omega[alive], spent[alive]
        steps.append(np.divmod(alive, len(kept)))
    return _trace_back(reduced, order, steps, int(omega.argmin()))


def _undominated(omega: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Indices, by cost, of what has less omega than everything that costs no more."""
    by_cost = np.lexsort((omega, cost))
    best = np.minimum.accumulate(omega[by_cost])
    return by_cost[np.append(True, omega[by_cost][1:] < best[:-1])[: len(by_cost)]]


def _trace_back(
    reduced: Reduced, order: list[int], steps: list[tuple[np.ndarray, np.ndarray]], state: int
) -> list[int]:
    picks = [0] * len(order)
    for group, (parents, choices) in zip(reversed(order), reversed(steps), strict=True):
        picks[group] = reduced.kept[group][int(choices[state])]
        state = int(parents[state])
    return picks
