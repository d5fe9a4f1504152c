"""The front of what an allocation can buy: one solution per budget, over a sweep."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from dyadic.allocation.knapsack import Solver
from dyadic.allocation.problem import MEASURES, Grid
from dyadic.allocation.solve import Solution, solve
from dyadic.files import write_atomically


def sweep(grid: Grid, kind: str, shares: Sequence[float], solver: Solver) -> list[Solution]:
    """Solutions for budgets `kind` at these shares of (all-high - all-low), in ascending order.

    Every solve starts from its neighbour below, whose solution fits a wider budget too.
    """
    solutions: list[Solution] = []
    for share in sorted(shares):
        start = solutions[-1] if solutions else None
        solutions.append(solve(grid, {kind: grid.limit(kind, share)}, solver, start))
    return solutions


def front(
    grid: Grid, kind: str, shares: Sequence[float], solutions: Sequence[Solution]
) -> pd.DataFrame:
    """One row a solution: share, budget (MiB, GBOPS or ms), omega, every total, proven, widths.

    A layer's widths stand in a column of its name, as "weight bits/activation bits".
    """
    rows = []
    for share, solution in zip(sorted(shares), solutions, strict=True):
        budget = grid.limit(kind, share) / MEASURES[kind].unit
        widths = {name: f"{weight}/{act}" for name, (weight, act) in solution.bits.items()}
        row = {"budget": kind, "share": share, "limit": budget, "omega": solution.omega}
        rows.append(row | solution.totals | {"proven": solution.proven} | widths)
    return pd.DataFrame(rows)


def write_front(path: Path, table: pd.DataFrame) -> None:
    """Write a front as CSV, atomically."""
    with write_atomically(path) as beside:
        table.to_csv(beside, index=False)
