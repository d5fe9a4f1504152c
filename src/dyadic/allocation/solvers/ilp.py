"""Bit selection as an integer linear program (HAWQ-V3, section 3.4, Eq. 12 to 14).

One binary variable per group and choice, one row per group (exactly one choice) and one per budget,
solved by PuLP with its bundled CBC, or with HiGHS where highspy is installed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from dyadic.allocation.solvers.enumeration import best_within_gap
from dyadic.allocation.solvers.knapsack import Knapsack, Picks
from dyadic.allocation.solvers.reduction import Reduced, reduce
from dyadic.errors import UserError

# Solvers ignore improvements below fixed tolerances (CBC: 1e-5), and traces are often smaller.
SPAN = 1e6
SCALED_BUDGET = 1e3


@dataclass(frozen=True)
class Ilp(ABC):
    """Exact solution to a relative `gap`, or the best found within `seconds`.

    Problems of a network's size are mostly closed by our own bound and enumeration, in milliseconds
    and in integers. PuLP's solver is asked where those would list more than `states` partial
    combinations (0: always).
    """

    gap: float = 0.0
    seconds: float = 60.0
    states: int = 50_000

    @abstractmethod
    def run(self, problem: pulp.LpProblem, warm: bool) -> None:
        """Solve with PuLP, in place; `warm` where the variables carry a feasible start."""

    def __call__(self, knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
        """The optimum of `knapsack`; None where no choice is feasible.

        The solver only sees what our own bound leaves open. A solution that exceeds a budget or is
        worse than one that we found ourselves is not believed, whatever the solver says of it.
        """
        reduced = reduce(knapsack, start)
        if reduced is None:
            return None
        best = self._incumbent(knapsack, reduced)
        if best is not None and best.proven:
            return best
        closed = best_within_gap(knapsack, reduced, self.states)
        if closed is not None:
            return Picks(closed, proven=True)
        problem, variables = _model(knapsack, reduced)
        self.run(problem, warm=best is not None)
        # sol_status and not status: a solver stopped by its time limit reports status Optimal.
        if problem.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
            return best
        picks = [max(row, key=lambda choice: row[choice].value() or 0.0) for row in variables]
        worse = best is not None and knapsack.objective(best.choice) < knapsack.objective(picks)
        if worse or not knapsack.fits(picks):
            return best
        return Picks(picks, proven=problem.sol_status == pulp.LpSolutionOptimal)

    def _incumbent(self, knapsack: Knapsack, reduced: Reduced) -> Picks | None:
        """The incumbent of the reduction, proven where nothing is left open beyond the gap."""
        if reduced.incumbent is None:
            return None
        omega = knapsack.objective(reduced.incumbent)
        closed = all(len(row) == 1 for row in reduced.kept)
        return Picks(reduced.incumbent, closed or omega - reduced.bound <= self.gap * abs(omega))


@dataclass(frozen=True)
class Cbc(Ilp):
    """The CBC that comes with PuLP, in a process of its own; started from the best known solution.

    The preprocessing of CBC 2.10.3 can call a choice optimal that is not (3 of 6000 small random
    problems, by up to 20 %). Without it none of these was wrong, and a few made it crash: those run
    again with the default.
    """

    def run(self, problem: pulp.LpProblem, warm: bool) -> None:
        """Raises `pulp.PulpSolverError` where both ways crash."""
        try:
            problem.solve(self._command("off", warm))
        except pulp.PulpSolverError:
            problem.solve(self._command("sos", warm))

    def _command(self, preprocess: str, warm: bool) -> pulp.LpSolver:
        # PULP_CBC_CMD itself is deprecated in PuLP 3.3; the program it carries is the same.
        return pulp.COIN_CMD(
            path=pulp.PULP_CBC_CMD.pulp_cbc_path,
            msg=False,
            gapRel=self.gap,
            timeLimit=self.seconds,
            warmStart=warm,
            options=[f"preprocess {preprocess}"],
        )


@dataclass(frozen=True)
class Highs(Ilp):
    """HiGHS in this process; PuLP passes it no starting solution. Needs highspy."""

    def run(self, problem: pulp.LpProblem, warm: bool) -> None:
        """Raises UserError where highspy is not installed."""
        solver = pulp.HiGHS(msg=False, gapRel=self.gap, timeLimit=self.seconds)
        if not solver.available():
            raise UserError("the solver HiGHS needs the package highspy; pip install highspy")
        problem.solve(solver)


def _model(
    knapsack: Knapsack, reduced: Reduced
) -> tuple[pulp.LpProblem, list[dict[int, pulp.LpVariable]]]:
    """The program over the choices that are left, and its variables by group and choice.

    Rows are written over what every group takes beyond its least cost, in units of the room that
    those leave: coefficients of up to 1e10 would hide violations in a solver's tolerance.
    """
    scale = SPAN / (sum(np.ptp(omega) for omega in knapsack.omega) or 1.0)
    least = [cost.min(axis=0) for cost in knapsack.cost]
    room = np.maximum(knapsack.limit - np.sum(least, axis=0), 1)
    problem = pulp.LpProblem("allocation", pulp.LpMinimize)
    objective, rows, variables = [], [[] for _ in knapsack.limit], []
    for group, kept in enumerate(reduced.kept):
        row = {c: problem.add_variable(f"x{group}_{c}", cat="Binary") for c in kept}
        for choice, x in row.items():
            objective.append((x, scale * float(knapsack.omega[group][choice])))
            beyond = (knapsack.cost[group][choice] - least[group]) / room
            for terms, value in zip(rows, beyond, strict=True):
                terms.append((x, SCALED_BUDGET * float(value)))
            if reduced.incumbent is not None:
                x.setInitialValue(int(choice == reduced.incumbent[group]))
        problem.addConstraint(pulp.LpAffineExpression((x, 1) for x in row.values()) == 1)
        variables.append(row)
    problem.setObjective(pulp.LpAffineExpression(objective))
    for terms in rows:
        problem.addConstraint(pulp.LpAffineExpression(terms) <= SCALED_BUDGET)
    return problem, variables
