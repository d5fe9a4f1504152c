"""Random allocations: dearer choices as long as they fit, by the seed alone."""

import numpy as np

from dyadic.allocation.solvers.knapsack import Knapsack, Picks
from dyadic.allocation.solvers.random_fill import RandomFill


def knapsack(cost: list[list[int]], limit: int) -> Knapsack:
    columns = [np.array(row)[:, None] for row in cost]
    return Knapsack([np.zeros(len(row)) for row in cost], columns, np.array([limit]))


def test_a_choice_that_costs_as_much_is_not_taken() -> None:
    for seed in range(8):
        assert RandomFill(seed)(knapsack([[1, 1, 1]], 9)) == Picks([0], proven=False)


def test_the_budget_is_filled_with_what_still_fits() -> None:
    problem = knapsack([[1, 3]] * 4, 8)
    found = [RandomFill(seed)(problem) for seed in range(20)]
    picks = [picks.choice for picks in found if picks is not None]
    assert {sum(choice) for choice in picks} == {2}
    assert len({tuple(choice) for choice in picks}) == 6
    assert found == [RandomFill(seed)(problem) for seed in range(20)]


def test_where_the_cheapest_is_too_dear_there_is_none() -> None:
    assert RandomFill()(knapsack([[1, 2], [3, 4]], 4)) == Picks([0, 0], proven=False)
    assert RandomFill()(knapsack([[1, 2], [3, 4]], 3)) is None
