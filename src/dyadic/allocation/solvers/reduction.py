"""Making a knapsack smaller before a solver sees it: a Lagrangian bound and an incumbent.

With multipliers l >= 0 the relaxation  sum_g min_j (omega_gj + l . cost_gj) - l . limit  is a lower
bound, and omega_gj + l . cost_gj - min_j' (...) is what the bound rises by when group g takes j. A
choice that lifts the bound above a known solution cannot be in a better one and is left out
(reduced-cost fixing; Kellerer, Pferschy and Pisinger, Knapsack Problems, 2004, section 11.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dyadic.allocation.solvers.knapsack import Knapsack

ROUNDS = 120
PATIENCE = 6
MOST_EXCHANGED = 1500
# Bounds and objectives are sums of floats: a choice is left out only where it is clearly worse.
MARGIN = 1e-9
ROUNDING = 4 * np.finfo(float).eps  # of a sum of products, relative to its terms


@dataclass(frozen=True)
class Reduced:
    """What is left of a knapsack.

    kept      choices of every group that may still be in an optimum
    incumbent the best solution known
    bound     no solution has less omega
    gap       what an optimum may lie above the bound, with a margin for rounding
    rise      by how much each kept choice lifts the bound, float64 per group
    """

    kept: list[list[int]]
    incumbent: list[int] | None
    bound: float
    gap: float
    rise: list[np.ndarray]


@dataclass(frozen=True)
class _Table:
    """A knapsack as arrays: omega [groups, choices], inf where a group has fewer choices."""

    omega: np.ndarray
    cost: np.ndarray  # [groups, choices, budgets]
    limit: np.ndarray

    def picked(self, picks: np.ndarray) -> tuple[float, np.ndarray]:
        rows = np.arange(len(picks))
        return self.omega[rows, picks].sum(), self.cost[rows, picks].sum(axis=0)


def reduce(knapsack: Knapsack, start: Sequence[int] | None = None) -> Reduced | None:
    """Leave out what the bound excludes; `start` is a feasible solution, where one is known.

    None where some group has no choice that fits beside the least of all others.
    """
    table = _table(knapsack)
    if not np.isfinite(table.omega).any(axis=1).all():
        return None
    incumbent = np.array(start) if start is not None else _cheapest(table)
    incumbent, bound, rise = _ascend(table, incumbent)
    gap = np.inf
    if incumbent is not None:
        incumbent = _improve(table, incumbent)
        gap = _gap(table, incumbent, bound)
        incumbent = _exchange(table, incumbent, rise <= gap)
        gap = _gap(table, incumbent, bound)
    kept = np.isfinite(table.omega) & (rise <= gap)
    return Reduced(
        [np.flatnonzero(row).tolist() for row in kept],
        None if incumbent is None else incumbent.tolist(),
        bound,
        gap,
        [lifts[row] for lifts, row in zip(rise, kept, strict=True)],
    )


def _table(knapsack: Knapsack) -> _Table:
    """Arrays without the choices that cannot fit even beside the least of all other groups."""
    shape = len(knapsack.omega), max(map(len, knapsack.omega))
    omega = np.full(shape, np.inf)
    cost = np.zeros((*shape, len(knapsack.limit)), dtype=np.int64)
    room = knapsack.limit - knapsack.least()
    for group, (values, costs) in enumerate(zip(knapsack.omega, knapsack.cost, strict=True)):
        fits = (costs - costs.min(axis=0) <= room).all(axis=1)
        omega[group, : len(values)] = np.where(fits, values, np.inf)
        cost[group, : len(values)] = costs
    return _Table(omega, cost, knapsack.limit)


def _cheapest(table: _Table) -> np.ndarray | None:
    """The choices of least cost, each cost in units of its limit; None where they do not fit."""
    share = (table.cost / np.maximum(table.limit, 1)).sum(axis=2)
    picks = np.where(np.isfinite(table.omega), share, np.inf).argmin(axis=1)
    return picks if (table.picked(picks)[1] <= table.limit).all() else None


def _ascend(
    table: _Table, incumbent: np.ndarray | None
) -> tuple[np.ndarray | None, float, np.ndarray]:
    """Subgradient ascent with Polyak's step: best solution met, best bound, and its rise by choice.

    The step needs an upper bound: the incumbent's omega, or the worst possible one.
    """
    worst = np.where(np.isfinite(table.omega), table.omega, -np.inf).max(axis=1).sum()
    upper = worst if incumbent is None else table.picked(incumbent)[0]
    scale = np.maximum(table.limit, 1)
    cost, limit = table.cost / scale, table.limit / scale
    multipliers, relaxation = np.zeros(len(limit)), 1.0
    best, best_rise, stale = -np.inf, table.omega, 0
    rows = np.arange(len(table.omega))
    for _ in range(ROUNDS):
        score = table.omega + cost @ multipliers
        picks = score.argmin(axis=1)
        least = score[rows, picks]
        paid = multipliers @ limit
        # Both sums may be far larger than their difference: what rounding adds is taken off.
        bound = float(least.sum() - paid - ROUNDING * len(rows) * (abs(least).sum() + paid))
        value, spent = table.picked(picks)
        if value < upper and (spent <= table.limit).all():
            incumbent, upper = picks, value
        stale += 1
        if bound > best:
            best, best_rise, stale = bound, score - least[:, None], 0
        elif stale >= PATIENCE:
            relaxation, stale = relaxation / 2, 0
        direction = cost[rows, picks].sum(axis=0) - limit
        steepness = direction @ direction
        if upper <= best or steepness == 0:
            break
        step = relaxation * (upper - bound) / steepness
        multipliers = np.maximum(multipliers + step * direction, 0.0)
    return incumbent, best, best_rise


def _gap(table: _Table, incumbent: np.ndarray, bound: float) -> float:
    upper = table.picked(incumbent)[0]
    return upper - bound + MARGIN * (abs(upper) + abs(bound))


def _improve(table: _Table, picks: np.ndarray) -> np.ndarray:
    """Change one group at a time for the largest gain that still fits, until there is none."""
    rows = np.arange(len(picks))
    while True:
        room = table.limit - table.picked(picks)[1]
        fits = (table.cost - table.cost[rows, picks][:, None] <= room).all(axis=2)
        gain = np.where(fits, table.omega[rows, picks][:, None] - table.omega, 0.0)
        group, choice = np.unravel_index(int(gain.argmax()), gain.shape)
        if gain[group, choice] <= 0:
            return picks
        picks = picks.copy()
        picks[group] = choice


def _exchange(table: _Table, picks: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Change two groups at a time, among the kept choices, as long as that gains."""
    groups, choices = np.nonzero(kept)
    if len(groups) > MOST_EXCHANGED:
        return picks
    apart = groups[:, None] != groups
    while True:
        room = table.limit - table.picked(picks)[1]
        gain = table.omega[groups, picks[groups]] - table.omega[groups, choices]
        more = table.cost[groups, choices] - table.cost[groups, picks[groups]]
        fits = apart & (more[:, None] + more <= room).all(axis=2)
        both = np.where(fits, gain[:, None] + gain, 0.0)
        one, other = np.unravel_index(int(both.argmax()), both.shape)
        if both[one, other] <= 0:
            return picks
        picks = picks.copy()
        picks[groups[[one, other]]] = choices[[one, other]]
