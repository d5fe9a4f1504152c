"""What a budget that cannot be met is told, with numbers that can."""

import re

import numpy as np
import pytest

from dyadic.allocation import Constrained, LayerCost, Problem, greedy
from dyadic.allocation.problem import Grid
from dyadic.allocation.solve import solve
from dyadic.errors import UserError


def table(size: list[list[int]], gbops: list[list[int]]) -> Grid:
    """Groups of one layer, whose costs are what is given and whose first choice does least harm."""
    layers = [[LayerCost(f"layer{i}", 1, 1)] for i in range(len(size))]
    menus = [[(2, 2), (4, 4), (8, 8)][: len(row)] for row in size]
    cost = {"size": list(map(np.array, size)), "gbops": list(map(np.array, gbops))}
    omega = [np.arange(len(row), dtype=float) for row in size]
    return Grid(layers, menus, omega, cost)


def test_a_printed_value_is_rounded_to_where_it_still_fits() -> None:
    """Six digits: what the budget is downwards, what is feasible upwards."""
    problem = Problem([LayerCost("a", 10, 77_160_063)], lambda *_: 0.0)  # 1.234561008 at 4/4
    allocation = Constrained(budget={"gbops": "1.2345609 GBOPS"}, first_bits=None, last_bits=None)
    with pytest.raises(UserError) as told:
        allocation.assign(problem)
    found = re.search(r"gbops (\S+) \(tightest feasible: (\S+)\)", str(told.value))
    assert found is not None
    assert found.groups() == ("1.23456GBOPS", "1.23457GBOPS")
    Constrained(budget={"gbops": found[2]}, first_bits=None, last_bits=None).assign(problem)


def test_a_budget_at_its_least_is_not_the_one_that_stands_in_the_way() -> None:
    """Where one budget is beyond reach alone, it alone is named; else both are."""
    clash = table([[9, 1]], [[1, 9]])
    with pytest.raises(UserError, match=r"size .*tightest.*, or gbops .*tightest"):
        solve(clash, {"size": 1, "gbops": 8}, greedy)
    with pytest.raises(UserError) as told:
        solve(clash, {"size": 1, "gbops": 0}, greedy)
    assert "gbops" in str(told.value)
    assert "size" not in str(told.value)


def test_a_heuristic_that_finds_nothing_points_to_the_ilp_where_budgets_are_just_met() -> None:
    hidden = table([[4, 5, 3]], [[5, 3, 4]])
    with pytest.raises(UserError, match="use the ILP"):
        solve(hidden, {"size": 3, "gbops": 4}, lambda knapsack, start=None: None)
