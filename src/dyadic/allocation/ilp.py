"""Bit selection as an integer linear program (HAWQ-V3, section 3.4, Eq. 12 to 14).

One binary variable per group and choice, one row per group (exactly one choice) and one per budget,
solved by PuLP with its bundled CBC, or with HiGHS where highspy is installed.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from dyadic.allocation.knapsack import Knapsack, Picks, undominated
from dyadic.errors import UserError

# Solvers ignore improvements below fixed tolerances (CBC: 1e-5), and traces are often smaller.
OMEGA_SPAN = 1e6


@dataclass(frozen=True)
class Ilp(ABC):
    """Exact solution to a relative `gap`, or the best found within `seconds`."""

    gap: float = 0.0
    seconds: float = 60.0

    @abstractmethod
    def backend(self, warm: bool) -> pulp.LpSolver:
        """The PuLP solver; `warm` where the variables carry a feasible start."""

    def __call__(self, knapsack: Knapsack, start: Sequence[int] | None = None) -> Picks | None:
        """The optimum of `knapsack`; None where no choice is feasible."""
        problem, variables = _model(knapsack, start)
        problem.solve(self.backend(start is not None))
        # sol_status and not status: a solver stopped by its time limit reports status Optimal.
        if problem.sol_status in (pulp.LpSolutionInfeasible, pulp.LpSolutionNoSolutionFound):
            return None
        picks = [max(row, key=lambda choice: row[choice].value() or 0.0) for row in variables]
        return Picks(picks, proven=problem.sol_status == pulp.LpSolutionOptimal)


@dataclass(frozen=True)
class Cbc(Ilp):
    """The CBC that comes with PuLP; started from a neighbouring solution where there is one."""

    def backend(self, warm: bool) -> pulp.LpSolver:
        """CBC in a process of its own."""
        # PULP_CBC_CMD itself is deprecated in PuLP 3.3; the solver it carries is the same.
        return pulp.COIN_CMD(
            path=pulp.PULP_CBC_CMD.pulp_cbc_path,
            msg=False,
            gapRel=self.gap,
            timeLimit=self.seconds,
            warmStart=warm,
        )


@dataclass(frozen=True)
class Highs(Ilp):
    """HiGHS in this process; PuLP passes it no starting solution. Needs highspy."""

    def backend(self, warm: bool) -> pulp.LpSolver:
        """HiGHS through highspy; UserError where that is not installed."""
        solver = pulp.HiGHS(msg=False, gapRel=self.gap, timeLimit=self.seconds)
        if not solver.available():
            raise UserError("the solver HiGHS needs the package highspy; pip install highspy")
        return solver


def _model(
    knapsack: Knapsack, start: Sequence[int] | None
) -> tuple[pulp.LpProblem, list[dict[int, pulp.LpVariable]]]:
    """The program over the undominated choices, and its variables by group and choice."""
    scale = OMEGA_SPAN / (sum(np.ptp(omega) for omega in knapsack.omega) or 1.0)
    divisor = np.gcd.reduce(np.concatenate(knapsack.cost), axis=0).clip(min=1)
    problem = pulp.LpProblem("allocation", pulp.LpMinimize)
    objective, rows, variables = [], [[] for _ in knapsack.limit], []
    for group, (omega, cost) in enumerate(zip(knapsack.omega, knapsack.cost, strict=True)):
        kept = undominated(omega, cost).tolist()
        if start is not None and start[group] not in kept:
            kept.append(start[group])
        row = {choice: problem.add_variable(f"x{group}_{choice}", cat="Binary") for choice in kept}
        for choice, x in row.items():
            objective.append((x, scale * float(omega[choice])))
            for terms, value in zip(rows, cost[choice] // divisor, strict=True):
                terms.append((x, int(value)))
            if start is not None:
                x.setInitialValue(int(choice == start[group]))
        problem.addConstraint(pulp.LpAffineExpression((x, 1) for x in row.values()) == 1)
        variables.append(row)
    problem.setObjective(pulp.LpAffineExpression(objective))
    for terms, limit in zip(rows, knapsack.limit // divisor, strict=True):
        problem.addConstraint(pulp.LpAffineExpression(terms) <= int(limit))
    return problem, variables
