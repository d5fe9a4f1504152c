"""The optimum by trying everything: for small problems, and to test the other solvers."""

from collections.abc import Sequence
from itertools import product
from math import prod

from dyadic.allocation.solvers.knapsack import Knapsack, Picks
from dyadic.errors import UserError

MOST_COMBINATIONS = 2**20


def exhaustive(knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
    """The feasible choice with the smallest omega, by enumeration.

    Raises UserError beyond 2^20 combinations.
    """
    combinations = prod(map(len, knapsack.omega))
    if combinations > MOST_COMBINATIONS:
        raise UserError(
            f"enumeration of {combinations} allocations is too much; use the ILP instead"
        )
    feasible = filter(knapsack.fits, product(*(range(len(row)) for row in knapsack.omega)))
    best = min(feasible, key=knapsack.objective, default=None)
    return None if best is None else Picks(list(best), proven=True)
