"""What every budget buys: the ILP's choices over a sweep, beside random and uniform ones."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.allocation.problem import MEASURES, Grid
from dyadic.allocation.solve import Solution, solve
from dyadic.allocation.solvers.knapsack import Knapsack, Picks, Solver
from dyadic.allocation.solvers.random_fill import RandomFill
from dyadic.record.files import write_atomically

TOTALS = {"size": "size_mib", "gbops": "gbops", "latency": "latency_ms"}
"""The column of every measure in the table."""


@dataclass(frozen=True)
class Point:
    """One allocation of a front.

    source  "ilp", "random" or "uniform"
    share   of (all-high - all-low) that the budget was; None for uniform widths, which have none
    seed    of a random allocation
    """

    source: str
    solution: Solution
    share: float | None = None
    seed: int | None = None


def sweep(grid: Grid, kind: str, shares: Sequence[float], solver: Solver) -> list[Point]:
    """The solver's choices for budgets `kind` at these shares, in ascending order.

    Every solve starts from its neighbour below, whose solution fits a wider budget too.
    """
    points: list[Point] = []
    for share in sorted(shares):
        start = points[-1].solution if points else None
        limits = {kind: grid.limit(kind, share)}
        points.append(Point("ilp", solve(grid, limits, solver, start), share))
    return points


def random_points(
    grid: Grid, kind: str, shares: Sequence[float], seeds: Iterable[int]
) -> list[Point]:
    """Random allocations of the same budgets, as `allocation=random` makes them with these seeds.

    The ends of the range are left out: there all-low and all-high are the only allocations.
    """
    inner = [share for share in sorted(shares) if 0 < share < 1]
    return [
        Point("random", solve(grid, {kind: grid.limit(kind, share)}, RandomFill(seed)), share, seed)
        for share in inner
        for seed in seeds
    ]


def uniform_points(grid: Grid) -> list[Point]:
    """One allocation for each pair of widths that the free layers, which share a menu, may take."""
    free = next((menu for menu in grid.menus if len(menu) > 1), [])

    def everywhere(bits: tuple[int, int]) -> Solver:
        picks = [menu.index(bits) if len(menu) > 1 else 0 for menu in grid.menus]

        def solver(knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks:
            return Picks(picks, proven=False)

        return solver

    return [Point("uniform", solve(grid, {}, everywhere(bits))) for bits in free]


def table(grid: Grid, kind: str, points: Sequence[Point]) -> pd.DataFrame:
    """One row a point: source, share, budget, seed, proven, omega, every total, widths.

    The budget is in MiB, GBOPS or ms. A layer's widths stand in a column of its name, as "weight
    bits/activation bits".
    """
    rows = []
    for point in points:
        solution = point.solution
        row: dict[str, Any] = {
            "source": point.source,
            "measure": kind,
            "share": point.share,
            "budget": None
            if point.share is None
            else grid.limit(kind, point.share) / MEASURES[kind].unit,
            "fill_seed": point.seed,
            "proven": solution.proven,
            "omega": solution.omega,
        }
        row |= {TOTALS[name]: value for name, value in solution.totals.items()}
        rows.append(row | {name: f"{w}/{a}" for name, (w, a) in solution.bits.items()})
    return pd.DataFrame(rows).astype({"fill_seed": "Int64"})


def write_table(path: Path, front: pd.DataFrame) -> None:
    """Write a front as CSV, atomically."""
    with write_atomically(path) as beside:
        front.to_csv(beside, index=False, lineterminator="\n")
