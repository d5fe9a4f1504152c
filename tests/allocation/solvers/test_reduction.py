"""What the reduction says of a knapsack: its bound, the rises above it, and its incumbent."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.allocation.solvers.test_ilp import knapsack, small
from tests.allocation.solvers.test_solvers import OPEN, knapsacks

from dyadic.allocation.solvers import reduction
from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.knapsack import Knapsack
from dyadic.allocation.solvers.random_fill import RandomFill
from dyadic.allocation.solvers.reduction import _cheapest, _exchange, _improve, _table, reduce


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_the_bound_is_that_of_the_linear_relaxation(unit: float) -> None:
    """12 of 13 for choice 1 everywhere, omega 6; the last unit buys 2/3 less by choice 2."""
    reduced = reduce(replace(OPEN, omega=[unit * row for row in OPEN.omega]))
    assert reduced is not None
    assert reduced.bound / unit == pytest.approx(6 - 2 / 3, rel=2e-3)
    assert reduced.bound / unit <= 6 - 2 / 3


def test_no_rounding_lifts_the_bound_above_a_solution() -> None:
    """Where nothing is scarce the bound is the optimum, but for what rounding may add."""
    omega = [[0.1 * group, 0.7] for group in range(7)]
    free = knapsack(omega, [[[0], [0]]] * 7, [0])
    reduced, optimum = reduce(free), free.objective([0] * 7)
    assert reduced is not None
    assert optimum * (1 - 1e-12) < reduced.bound < optimum


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
    room = problem.limit - problem.least()
    for group, (kept, rises) in enumerate(zip(reduced.kept, reduced.rise, strict=True)):
        for choice, rise in zip(kept, rises, strict=True):
            beyond = problem.cost[group][choice] - problem.cost[group].min(axis=0)
            assert (beyond <= room).all()
            best = exhaustive(forced(problem, group, choice))
            if best is not None:
                least = forced(problem, group, choice).objective(best.choice)
                assert reduced.bound + rise <= least * (1 + 1e-9)


# The cheapest choices, each cost in units of its limit, do not fit together.
CLASH = knapsack([[0, 1]] * 2, [[[0, 3], [2, 2]]] * 2, [2, 5])


@given(problem=knapsacks())
@example(problem=CLASH)
def test_the_gap_is_what_the_incumbent_lies_above_the_bound(problem: Knapsack) -> None:
    reduced = reduce(problem)
    if reduced is None or reduced.incumbent is None:
        return
    assert problem.fits(reduced.incumbent)
    omega = problem.objective(reduced.incumbent)
    above, margin = omega - reduced.bound, 1e-9 * (abs(omega) + abs(reduced.bound))
    assert reduced.gap == pytest.approx(above + margin, rel=1e-6)


def changes(problem: Knapsack, picks: list[int], groups: int):
    """Feasible picks that differ in so many groups at most."""
    for chosen in itertools.combinations(range(len(picks)), min(groups, len(picks))):
        for choices in itertools.product(*(range(len(problem.omega[g])) for g in chosen)):
            changed = list(picks)
            for group, choice in zip(chosen, choices, strict=True):
                changed[group] = choice
            if problem.fits(changed):
                yield changed


@pytest.mark.parametrize("groups", [1, 2])
@given(problem=small(), seed=st.integers(0, 9))
def test_no_change_of_one_or_two_groups_improves_what_was_improved(
    groups: int, problem: Knapsack, seed: int
) -> None:
    start = RandomFill(seed)(problem)
    assume(start is not None)
    table = _table(problem)
    first = np.array(start.choice)
    everything = np.isfinite(table.omega)
    found = _improve(table, first)
    if groups == 2:
        found = _exchange(table, found, everything)
    omega = problem.objective(found.tolist())
    assert problem.fits(found.tolist())
    assert start.choice == first.tolist()
    around = [problem.objective(picks) for picks in changes(problem, found.tolist(), groups)]
    assert min(around) >= omega * (1 - 1e-12)


@pytest.mark.parametrize(("most", "found"), [(4, [0, 1]), (3, [1, 0])])
def test_too_many_choices_are_not_exchanged(monkeypatch, most: int, found: list[int]) -> None:
    monkeypatch.setattr(reduction, "MOST_EXCHANGED", most)
    table = _table(knapsack([[0.1, 0], [0.3, 0]], [[[0], [2]]] * 2, [2]))
    assert _exchange(table, np.array([1, 0]), np.ones((2, 2), bool)).tolist() == found


def test_the_largest_gain_is_taken_first() -> None:
    table = _table(knapsack([[9, 8, 4], [9, 3]], [[[0], [1], [2]], [[0], [2]]], [2]))
    assert _improve(table, np.array([0, 0])).tolist() == [0, 1]


def test_the_cheapest_choice_is_that_in_units_of_the_limits() -> None:
    """1 of 2 and 0 of 100 is more than 0 of 2 and 9 of 100."""
    picks = _cheapest(_table(knapsack([[0, 0]], [[[1, 0], [0, 9]]], [2, 100])))
    assert picks is not None
    assert picks.tolist() == [1]
    exactly = _cheapest(_table(knapsack([[0], [0]], [[[1]], [[3]]], [4])))
    assert exactly is not None
    assert _cheapest(_table(CLASH)) is None
