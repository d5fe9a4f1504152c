"""What the reduction says of a knapsack: its bound, the rises above it, and its incumbent."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.allocation.solvers.test_solvers import OPEN, knapsacks

from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.knapsack import Knapsack
from dyadic.allocation.solvers.reduction import reduce


def test_the_bound_is_that_of_the_linear_relaxation() -> None:
    """12 of 13 for choice 1 everywhere, omega 6; the last unit buys 2/3 less by choice 2."""
    reduced = reduce(OPEN)
    assert reduced is not None
    assert reduced.bound == pytest.approx(6 - 2 / 3, rel=2e-3)
    assert reduced.bound <= 6 - 2 / 3


def forced(problem: Knapsack, group: int, choice: int) -> Knapsack:
    omega, cost = list(problem.omega), list(problem.cost)
    omega[group], cost[group] = omega[group][[choice]], cost[group][[choice]]
    return Knapsack(omega, cost, problem.limit)


@given(problem=knapsacks())
def test_no_solution_with_a_choice_is_below_the_bound_and_its_rise(problem: Knapsack) -> None:
    reduced = reduce(problem)
    if reduced is None:
        return
    assert reduced.bound > -np.inf
    for group, (kept, rises) in enumerate(zip(reduced.kept, reduced.rise, strict=True)):
        for choice, rise in zip(kept, rises, strict=True):
            best = exhaustive(forced(problem, group, choice))
            if best is not None:
                least = forced(problem, group, choice).objective(best.choice)
                assert reduced.bound + rise <= least * (1 + 1e-9)


@given(problem=knapsacks(), started=st.booleans())
def test_no_change_of_two_groups_that_fits_improves_the_incumbent(
    problem: Knapsack, started: bool
) -> None:
    best = exhaustive(problem) if started else None
    reduced = reduce(problem, None if best is None else best.choice)
    if reduced is None or reduced.incumbent is None:
        return
    omega = problem.objective(reduced.incumbent)
    assert problem.fits(reduced.incumbent)
    assert best is None or omega <= problem.objective(best.choice)
    above = omega - reduced.bound
    assert above <= reduced.gap <= above + 3e-9 * (abs(omega) + abs(reduced.bound))
    for one, other in itertools.combinations_with_replacement(range(len(reduced.kept)), 2):
        for mine, theirs in itertools.product(reduced.kept[one], reduced.kept[other]):
            changed = list(reduced.incumbent)
            changed[one], changed[other] = mine, theirs
            assert not problem.fits(changed) or problem.objective(changed) >= omega * (1 - 1e-9)
