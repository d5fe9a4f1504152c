"""Enumeration within a gap: every combination that is left open, and how many those are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.allocation.solvers.enumeration import best_within_gap
from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.knapsack import Knapsack
from dyadic.allocation.solvers.reduction import Reduced


def open_within(problem: Knapsack, rise: list[list[float]], gap: float) -> Reduced:
    """Every choice is kept, and the first of each group is known."""
    kept = [list(range(len(row))) for row in problem.omega]
    return Reduced(kept, [0] * len(kept), 0.0, gap, [np.array(row) for row in rise])


def knapsack(omega: list[list[int]], cost: list[list[list[int]]], limit: list[int]) -> Knapsack:
    return Knapsack([np.array(row, float) for row in omega], list(map(np.array, cost)),
                    np.array(limit))  # fmt: skip


SMALL = st.integers(0, 4)


@given(data=st.data(), budgets=st.integers(1, 3), groups=st.integers(1, 4))
def test_where_all_is_open_it_is_the_optimum(data, budgets: int, groups: int) -> None:
    """Small costs: limits are met exactly, and combinations cost the same."""
    sizes = [data.draw(st.integers(1, 3)) for _ in range(groups)]
    omega = [[data.draw(SMALL) for _ in range(size)] for size in sizes]
    cost = [[[data.draw(SMALL) for _ in range(budgets)] for _ in range(size)] for size in sizes]
    first = np.sum([rows[0] for rows in cost], axis=0)
    problem = knapsack(omega, cost, first.tolist())
    found = best_within_gap(problem, open_within(problem, [[0] * size for size in sizes], 0), 999)
    best = exhaustive(problem)
    assert found is not None
    assert best is not None
    assert problem.fits(found)
    assert problem.objective(found) == problem.objective(best.choice)


def test_rises_add_up_to_the_gap_and_no_further() -> None:
    problem = knapsack([[3, 0], [2, 0]], [[[0], [0]], [[0], [0]]], [0])
    found = {
        gap: best_within_gap(problem, open_within(problem, [[0, 1], [0, 1]], gap), most=9)
        for gap in (0.9, 1.0, 1.9, 2.0)
    }
    assert found == {0.9: [0, 0], 1.0: [1, 0], 1.9: [1, 0], 2.0: [1, 1]}


@pytest.mark.parametrize(
    ("problem", "most"),
    [
        # Costs 0, 4, 7, 8, 11 and 12 are the best of their sums in three groups, up to 13.
        (knapsack([[5, 2, 0]] * 3, [[[0], [4], [7]]] * 3, [13]), 6),
        # The same with a second budget, where nothing dominates: 17 of 27 fit.
        (knapsack([[5, 2, 0]] * 3, [[[0, 1], [4, 1], [7, 1]]] * 3, [13, 3]), 17),
        # 11 and 12 leave no room for the 3 that the other group takes at least.
        (knapsack([[5, 2, 1], [4, 0]], [[[1], [11], [12]], [[3], [9]]], [13]), 2),
    ],
)
def test_it_holds_no_more_combinations_than_can_be_completed(problem: Knapsack, most: int) -> None:
    reduced = open_within(problem, [[0.0] * len(row) for row in problem.omega], 0.0)
    assert best_within_gap(problem, reduced, most) is not None
    assert best_within_gap(problem, reduced, most - 1) is None
