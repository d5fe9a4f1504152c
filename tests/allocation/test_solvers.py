"""Every solver against enumeration, and what is believed of a solver's answer."""

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadic.allocation.exhaustive import exhaustive
from dyadic.allocation.greedy import greedy
from dyadic.allocation.ilp import Cbc, Highs
from dyadic.allocation.knapsack import Knapsack, undominated
from dyadic.allocation.random_fill import RandomFill
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


@pytest.mark.parametrize("solver", [Cbc(), Highs()])
@settings(max_examples=40, deadline=None)
@given(problem=knapsacks())
def test_ilp_equals_enumeration(solver: Cbc | Highs, problem: Knapsack) -> None:
    best, ours = exhaustive(problem), solver(problem)
    if best is None:
        assert ours is None
    else:
        assert ours is not None
        assert ours.proven
        assert problem.fits(ours.choice)
        assert problem.objective(ours.choice) == pytest.approx(
            problem.objective(best.choice), rel=1e-7
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


@settings(deadline=None)
@given(problem=knapsacks())
def test_start_from_any_feasible_choice_leaves_the_optimum_as_it_is(problem: Knapsack) -> None:
    start, best = RandomFill(3)(problem), exhaustive(problem)
    if start is not None and best is not None:
        ours = Cbc()(problem, start.choice)
        assert ours is not None
        assert problem.objective(ours.choice) == pytest.approx(
            problem.objective(best.choice), rel=1e-7
        )


@given(problem=knapsacks())
def test_a_dominated_choice_is_beaten_by_a_kept_one(problem: Knapsack) -> None:
    for omega, cost in zip(problem.omega, problem.cost, strict=True):
        kept = undominated(omega, cost)
        for choice in range(len(omega)):
            assert any(omega[k] <= omega[choice] and (cost[k] <= cost[choice]).all() for k in kept)


def test_equal_choices_leave_exactly_one() -> None:
    assert undominated(np.ones(3), np.ones((3, 2), dtype=int)).tolist() == [0]


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


def test_enumeration_refuses_what_would_take_for_ever() -> None:
    problem = Knapsack(
        [np.zeros(4)] * 11, [np.zeros((4, 1), dtype=np.int64)] * 11, np.zeros(1, dtype=np.int64)
    )
    with pytest.raises(UserError, match="4194304 allocations is too much"):
        exhaustive(problem)


def test_a_time_out_is_not_called_optimal(monkeypatch: pytest.MonkeyPatch) -> None:
    """PuLP says Optimal for what the time limit stopped; only sol_status tells."""
    problem = Knapsack([np.array([2.0, 1.0])], [np.array([[0], [1]])], np.array([1]))

    def stopped(self: pulp.LpProblem, solver: pulp.LpSolver) -> int:
        for variable in self.variables():
            variable.varValue = float(variable.name == "x0_0")
        self.assignStatus(pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible)
        return self.status

    monkeypatch.setattr(pulp.LpProblem, "solve", stopped)
    picks = Cbc()(problem)
    assert picks is not None
    assert picks.choice == [0]
    assert not picks.proven


def test_highs_without_its_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulp.HiGHS, "available", lambda self: False)
    with pytest.raises(UserError, match="pip install highspy"):
        Highs().backend(warm=False)
