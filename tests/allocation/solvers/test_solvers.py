"""Every solver against enumeration, and what is believed of a solver's answer."""

import math

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadic.allocation.solvers.enumeration import best_within_gap
from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.greedy import greedy
from dyadic.allocation.solvers.ilp import Cbc, Highs
from dyadic.allocation.solvers.knapsack import Knapsack, Picks
from dyadic.allocation.solvers.random_fill import RandomFill
from dyadic.allocation.solvers.reduction import reduce
from dyadic.errors import UserError


@st.composite
def knapsacks(draw: st.DrawFn) -> Knapsack:
    groups = draw(st.integers(1, 6))
    budgets = draw(st.integers(0, 3))
    seed = draw(st.integers(0, 2**32 - 1))
    span = draw(st.sampled_from([1e-9, 1.0, 1e6]))
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 5, size=groups)
    omega = [span * random.random(size) for size in sizes]
    cost = [random.integers(0, 10 ** random.integers(1, 10), (size, budgets)) for size in sizes]
    least = np.sum([row.min(axis=0) for row in cost], axis=0)
    most = np.sum([row.max(axis=0) for row in cost], axis=0)
    return Knapsack(omega, cost, least + (random.random(budgets) * (most - least)).astype(int))


@pytest.mark.parametrize("solver", [Cbc(), Cbc(states=0), Highs(states=0)])
@settings(max_examples=25, deadline=None)
@given(problem=knapsacks())
def test_ilp_equals_enumeration(solver: Cbc | Highs, problem: Knapsack) -> None:
    best, ours = exhaustive(problem), solver(problem)
    if best is None:
        assert ours is None
    else:
        assert ours is not None
        assert ours.proven
        assert problem.fits(ours.choice)
        assert math.isclose(
            problem.objective(ours.choice), problem.objective(best.choice), rel_tol=1e-9
        )


@pytest.mark.parametrize("solver", [greedy, RandomFill(0), RandomFill(1)])
@settings(deadline=None)
@given(problem=knapsacks())
def test_heuristics_stay_within_the_budget_and_never_beat_the_optimum(solver, problem) -> None:
    picks, best = solver(problem), exhaustive(problem)
    if picks is not None:
        assert best is not None
        assert problem.fits(picks.choice)
        assert problem.objective(picks.choice) >= problem.objective(best.choice) * (1 - 1e-12)


@settings(max_examples=25, deadline=None)
@given(problem=knapsacks())
def test_start_from_any_feasible_choice_leaves_the_optimum_as_it_is(problem: Knapsack) -> None:
    start, best = RandomFill(3)(problem), exhaustive(problem)
    if start is not None and best is not None:
        ours = Cbc(states=0)(problem, start.choice)
        assert ours is not None
        assert math.isclose(
            problem.objective(ours.choice), problem.objective(best.choice), rel_tol=1e-9
        )


def test_without_a_budget_the_best_choice_of_every_group_is_taken() -> None:
    problem = Knapsack(
        [np.array([2.0, 1.0]), np.array([0.5, 3.0])],
        [np.zeros((2, 0), dtype=np.int64)] * 2,
        np.zeros(0, dtype=np.int64),
    )
    for solver in (Cbc(), Highs(), greedy, exhaustive):
        picks = solver(problem)
        assert picks is not None
        assert picks.choice == [1, 0]


def alike(groups: int) -> Knapsack:
    """Groups of two choices that cost nothing."""
    return Knapsack([np.zeros(2)] * groups, [np.zeros((2, 1), int)] * groups, np.zeros(1, int))


def test_enumeration_refuses_what_would_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="2097152 allocations is too much"):
        exhaustive(alike(21))
    monkeypatch.setattr("dyadic.allocation.solvers.exhaustive.MOST_COMBINATIONS", 8)
    with pytest.raises(UserError, match="16 allocations is too much"):
        exhaustive(alike(4))
    assert exhaustive(alike(3)) == Picks([0, 0, 0], proven=True)


# The bound 5.33 leaves this one open: the optimum is 6, with choice 1 everywhere.
OPEN = Knapsack([np.array([5.0, 2.0, 0.0])] * 3, [np.array([[0], [4], [7]])] * 3, np.array([13]))


def answering(picks: list[int], sol_status: int):
    def solve(self: pulp.LpProblem, solver: pulp.LpSolver) -> int:
        for variable in self.variables():
            group, choice = map(int, variable.name.removeprefix("x").split("_"))
            variable.varValue = float(picks[group] == choice)
        self.assignStatus(pulp.LpStatusOptimal, sol_status)
        return self.status

    return solve


def test_a_time_out_is_not_called_optimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """PuLP says Optimal for what the time limit stopped; only sol_status tells."""
    best = exhaustive(OPEN)
    assert best is not None
    stopped = answering(best.choice, pulp.LpSolutionIntegerFeasible)
    monkeypatch.setattr(pulp.LpProblem, "solve", stopped)
    picks = Cbc(states=0)(OPEN)
    assert picks is not None
    assert OPEN.objective(picks.choice) == OPEN.objective(best.choice)
    assert not picks.proven


@pytest.mark.parametrize("lie", [[0, 0, 0], [2, 2, 2]])
def test_an_optimum_that_is_worse_than_ours_or_does_not_fit_is_not_believed(
    lie: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulp.LpProblem, "solve", answering(lie, pulp.LpSolutionOptimal))
    picks = Cbc(states=0)(OPEN)
    assert picks is not None
    assert OPEN.fits(picks.choice)
    assert picks.choice != lie
    assert not picks.proven


def test_a_crash_of_cbc_is_followed_by_its_other_preprocessing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solve, tried = pulp.LpProblem.solve, []

    def crashing_once(self: pulp.LpProblem, solver: pulp.LpSolver) -> int:
        tried.append(solver.options)
        if len(tried) == 1:
            raise pulp.PulpSolverError("crashed")
        return solve(self, solver)

    monkeypatch.setattr(pulp.LpProblem, "solve", crashing_once)
    picks, best = Cbc(states=0)(OPEN), exhaustive(OPEN)
    assert picks is not None
    assert best is not None
    assert OPEN.objective(picks.choice) == OPEN.objective(best.choice)
    assert tried == [["preprocess off"], ["preprocess sos"]]


@settings(deadline=None)
@given(problem=knapsacks())
def test_the_reduction_keeps_an_optimum_and_its_bound_is_one(problem: Knapsack) -> None:
    reduced, best = reduce(problem), exhaustive(problem)
    if reduced is None:
        assert best is None
    elif best is not None:
        optimum = problem.objective(best.choice)
        assert reduced.bound <= optimum * (1 + 1e-12)
        kept = Knapsack(
            [row[keep] for row, keep in zip(problem.omega, reduced.kept, strict=True)],
            [row[keep] for row, keep in zip(problem.cost, reduced.kept, strict=True)],
            problem.limit,
        )
        again = exhaustive(kept)
        assert again is not None
        assert kept.objective(again.choice) == optimum
        assert reduced.incumbent is None or problem.fits(reduced.incumbent)


def test_enumeration_within_the_gap_gives_up_beyond_its_limit() -> None:
    reduced = reduce(OPEN)
    assert reduced is not None
    assert best_within_gap(OPEN, reduced, most=1) is None
    assert best_within_gap(OPEN, reduced, most=100) == [1, 1, 1]


def test_a_gap_that_the_bound_already_proves_needs_no_solver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(pulp.LpProblem, "solve")
    picks, best = Cbc(gap=0.5)(OPEN), exhaustive(OPEN)
    assert picks is not None
    assert best is not None
    assert picks.proven
    assert OPEN.objective(picks.choice) <= OPEN.objective(best.choice) / 0.5


def test_highs_without_its_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulp.HiGHS, "available", lambda self: False)
    with pytest.raises(UserError, match="pip install highspy"):
        Highs().run(pulp.LpProblem(), warm=False)
