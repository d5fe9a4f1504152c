"""Solve under budgets, and believe only what our own arithmetic confirms."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np

from dyadic.allocation.problem import MEASURES, Grid
from dyadic.allocation.solvers.ilp import Cbc
from dyadic.allocation.solvers.knapsack import Knapsack, Solver
from dyadic.errors import UserError
from dyadic.network.insert import Bits


@dataclass(frozen=True)
class Solution:
    """Widths of every layer, and what they come to.

    totals MiB, GBOPS and (where measured) ms by the names of `MEASURES`
    proven whether the solver proved its stated gap; False for a heuristic or after a time-out
    picks  choice per group, to start a neighbouring problem from
    """

    bits: dict[str, Bits]
    omega: float
    totals: dict[str, float]
    proven: bool
    picks: list[int]


def solve(
    grid: Grid, limits: Mapping[str, int], solver: Solver, start: Solution | None = None
) -> Solution:
    """The allocation of least omega within `limits` (in the units of `MEASURES`).

    Raises UserError with the tightest feasible values where nothing fits.
    """
    knapsack = grid.knapsack(limits)
    # A start outside the limits would only mislead the solver.
    usable = start is not None and knapsack.fits(start.picks)
    picks = None
    if (knapsack.least() <= knapsack.limit).all():
        picks = solver(knapsack, start.picks if start is not None and usable else None)
    if picks is None:
        raise _infeasible(knapsack, list(limits))
    if not knapsack.fits(picks.choice):
        raise RuntimeError(f"{solver} returned an allocation that exceeds its budget")
    totals = {
        kind: sum(int(row[pick]) for row, pick in zip(rows, picks.choice, strict=True))
        / MEASURES[kind].unit
        for kind, rows in grid.cost.items()
    }
    omega = knapsack.objective(picks.choice)
    return Solution(grid.bits(picks.choice), omega, totals, picks.proven, picks.choice)


def _infeasible(knapsack: Knapsack, kinds: list[str]) -> UserError:
    """One line with the tightest value of every budget that stands in the way."""
    least = knapsack.least()
    alone = [k for k in range(len(kinds)) if least[k] > knapsack.limit[k]]
    tightest = {k: int(least[k]) for k in alone} or _tightest_together(knapsack)
    if not tightest:
        return UserError("this solver found no allocation within the budgets; use the ILP")
    tight = [
        f"{kinds[k]} {_text(kinds[k], int(knapsack.limit[k]), ROUND_FLOOR)} "
        f"(tightest feasible: {_text(kinds[k], value, ROUND_CEILING)})"
        for k, value in tightest.items()
    ]
    return UserError(f"no allocation meets the budget: {', or '.join(tight)}")


def _text(kind: str, units: int, rounding: str) -> str:
    """The value with its unit, in six digits: as `allocation.budget` takes it."""
    measure = MEASURES[kind]
    value = Context(prec=6, rounding=rounding).divide(Decimal(units), Decimal(measure.unit))
    return f"{float(value):.6g}{measure.name}"


def _tightest_together(knapsack: Knapsack) -> dict[int, int]:
    """Budget to its least value while all the others hold; empty where the budgets can be met."""
    tightest = {}
    for k in range(len(knapsack.limit)):
        others = replace(
            knapsack,
            omega=[row[:, k].astype(np.float64) for row in knapsack.cost],
            cost=[np.delete(row, k, axis=1) for row in knapsack.cost],
            limit=np.delete(knapsack.limit, k),
        )
        picks = Cbc()(others)
        if picks is not None:
            tightest[k] = int(knapsack.costs(picks.choice)[k])
    if all(value <= knapsack.limit[k] for k, value in tightest.items()):
        return {}
    return tightest
