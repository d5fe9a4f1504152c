"""The path that the greedy solver takes, step by step."""

import numpy as np
import pytest

from dyadic.allocation.solvers.greedy import greedy
from dyadic.allocation.solvers.knapsack import Knapsack


def knapsack(groups: list[tuple[list[float], list[list[int]]]], limit: list[int]) -> Knapsack:
    omega = [np.array(values, dtype=float) for values, _ in groups]
    return Knapsack(omega, [np.array(cost) for _, cost in groups], np.array(limit))


# Omega of every choice, and its costs; the best omega is first.
SAVES_4_0 = ([0.0, 1.0], [[10, 10], [6, 10]])
SAVES_0_1 = ([0.0, 1.0], [[10, 10], [10, 9]])
SAVES_4_1 = ([0.0, 1.5], [[10, 10], [6, 9]])
RAISES_ONE = ([0.0, 0.1], [[10, 10], [0, 11]])


@pytest.mark.parametrize(
    ("groups", "limit", "picks"),
    [
        # Nothing is exceeded: the best omega of every group.
        ([([3.0, 1.0, 2.0], [[1], [1], [1]]), ([0.0, 5.0], [[1], [0]])], [2], [1, 0]),
        # 6 / 1 against 3 / 1 and 6 / 2 of what is saved over the omega that it adds.
        ([([0, 1], [[9], [6]]), ([0, 1], [[9], [3]]), ([0, 2], [[9], [3]])], [24], [0, 1, 0]),
        # 1 more than 10 is less than 2 more than nothing.
        ([([10, 11], [[9], [6]]), ([0, 2], [[9], [6]])], [15], [1, 0]),
        # What is still to be saved is the unit: 4/4, 1/1 and (4/4 + 1/1) / 1.5.
        ([SAVES_4_0, SAVES_0_1, SAVES_4_1], [26, 29], [0, 0, 1]),
        # A budget that is met has no weight, and a step that raises any cost is none.
        ([SAVES_4_0, SAVES_0_1, RAISES_ONE], [26, 30], [1, 0, 0]),
        # What costs no omega comes first, however little it saves.
        ([([0, 0], [[9], [8]]), ([0, 1], [[9], [1]])], [17], [1, 0]),
        # Step by step: after the first the second is the best.
        ([([0, 1, 9], [[9], [5], [0]]), ([0, 2], [[9], [4]])], [9], [1, 1]),
    ],
)
def test_the_step_that_saves_most_for_its_omega_comes_first(groups, limit, picks) -> None:
    found = greedy(knapsack(groups, limit))
    assert found is not None
    assert found.choice == picks
    assert not found.proven


@pytest.mark.parametrize("groups", [[RAISES_ONE], [SAVES_0_1]])
def test_a_path_that_ends_too_early_is_none(groups) -> None:
    assert greedy(knapsack(groups, [9, 10])) is None
