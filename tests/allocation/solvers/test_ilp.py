"""The integer program itself, where no bound of ours makes it smaller."""

from collections.abc import Sequence

import numpy as np
import pulp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyadic.allocation.solvers import ilp
from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.ilp import Cbc, Highs, Ilp
from dyadic.allocation.solvers.knapsack import Knapsack, Picks
from dyadic.allocation.solvers.reduction import Reduced

SMALL = st.integers(0, 4)


def knapsack(omega: list, cost: list, limit: list[int]) -> Knapsack:
    return Knapsack([np.array(row, float) for row in omega], list(map(np.array, cost)),
                    np.array(limit))  # fmt: skip


def everything(problem: Knapsack, start: Sequence[int] | None = None) -> Reduced:
    """All choices that fit beside the least of the others, and no bound."""
    room = problem.limit - problem.least()
    fits = [(cost - cost.min(axis=0) <= room).all(axis=1) for cost in problem.cost]
    kept = [np.flatnonzero(row).tolist() for row in fits]
    incumbent = None if start is None else list(start)
    return Reduced(kept, incumbent, -np.inf, np.inf, [np.zeros(len(row)) for row in kept])


@st.composite
def small(draw: st.DrawFn, budgets: int = 2) -> Knapsack:
    """Costs so small that budgets are met exactly; omega of any size."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    unit = draw(st.sampled_from([1e-9, 1.0, 1e6]))
    omega = [[unit * draw(SMALL) for _ in range(size)] for size in sizes]
    cost = [[[draw(SMALL) for _ in range(budgets)] for _ in range(size)] for size in sizes]
    least = np.sum([np.min(rows, axis=0) for rows in cost], axis=0)
    return knapsack(omega, cost, [int(x) + draw(st.integers(0, 3)) for x in least])


@pytest.mark.parametrize(("solver", "examples"), [(Highs(states=0), 60), (Cbc(states=0), 8)])
def test_the_program_is_the_knapsack(
    solver: Ilp, examples: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(problem=small(), warm=st.booleans())
    @example(problem=knapsack([[1, 0]] * 2, [[[0], [1]]] * 2, [1]), warm=False)  # room for one
    @example(problem=knapsack([[4e-9, 1e-9, 3e-9]] * 2, [[[0], [4], [4]]] * 2, [4]), warm=False)
    def check(problem: Knapsack, warm: bool) -> None:
        best = exhaustive(problem)
        if not all(everything(problem).kept) or best is None:
            assert best is None
            return
        found = solver(problem, best.choice if warm else None)
        assert found is not None
        assert found.proven
        assert problem.fits(found.choice)
        assert problem.objective(found.choice) == problem.objective(best.choice)

    monkeypatch.setattr(ilp, "reduce", everything)
    check()
    assert capfd.readouterr() == ("", "")


def test_what_no_choice_solves_has_no_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ilp, "reduce", everything)
    clash = knapsack([[0, 0]] * 2, [[[0, 2], [2, 0]]] * 2, [1, 3])
    assert exhaustive(clash) is None
    assert Highs(states=0)(clash) is None


TWO = knapsack([[3, 1], [4, 0]], [[[0], [2]], [[0], [5]]], [5])


class Watching(Ilp):
    """Looks at the program and leaves it unsolved."""

    seen: list = []  # noqa: RUF012

    def run(self, problem: pulp.LpProblem, warm: bool) -> None:
        self.seen.append((warm, {x.name: x.varValue for x in problem.variables()}))


@pytest.mark.parametrize("start", [[1, 0], None])
def test_the_solver_starts_from_the_best_that_is_known(monkeypatch, start) -> None:
    monkeypatch.setattr(ilp, "reduce", everything)
    monkeypatch.setattr(Watching, "seen", [])
    found = Watching(states=0)(TWO, start)
    values = dict.fromkeys(("x0_0", "x0_1", "x1_0", "x1_1"))
    if start is not None:
        values |= {"x0_0": 0, "x0_1": 1, "x1_0": 1, "x1_1": 0}
    assert Watching.seen == [(start is not None, values)]
    assert found == (None if start is None else Picks([1, 0], proven=False))


@pytest.mark.parametrize(
    ("kept", "bound", "gap", "proven"),
    [
        ([[0], [1]], -np.inf, 0.0, True),  # nothing is left open
        ([[0], [0, 1]], 2.9, 0.0, False),
        ([[0, 1], [0, 1]], 3.0, 0.0, True),  # the bound is met
        ([[0, 1], [0, 1]], 2.25, 0.25, True),  # up to a quarter of 3
        ([[0, 1], [0, 1]], 2.2, 0.25, False),
    ],
)
def test_what_the_bound_proves_is_asked_of_nobody(monkeypatch, kept, bound, gap, proven) -> None:
    class Asked(Exception):
        pass

    def asked(*arguments: object) -> None:
        raise Asked

    rise = [np.zeros(len(row)) for row in kept]
    reduced = Reduced(kept, [0, 1], bound, 9.0, rise)
    monkeypatch.setattr(ilp, "reduce", lambda problem, start: reduced)
    monkeypatch.setattr(ilp, "best_within_gap", asked)
    if proven:
        assert Watching(gap=gap)(TWO) == Picks([0, 1], proven=True)
    else:
        with pytest.raises(Asked):
            Watching(gap=gap)(TWO)
