"""Bit selection: our ILP against the bare solvers on the same problems, side by side.

The 18 published problems of HAWQ-V3; one of ResNet-50's size with widths 2/4/8 x 4/8 under all
three budgets; 500 layers; a front of 50 budgets. The bare solver is PuLP on the whole problem with
default options, its model building included. `python benchmarks/ilp.py [--rounds 5]`
"""

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
import pulp
from experiments.hawq_v3.published import BUDGETS, CHOICES, LEVELS, PYTORCHCV_MACS, Notebook
from side_by_side import compare

from dyadic.allocation.problem import grid
from dyadic.allocation.solvers.ilp import Cbc, Highs
from dyadic.allocation.solvers.knapsack import Knapsack

WIDTHS = [(weight, activation) for weight in (2, 4, 8) for activation in (4, 8)]
SHARES = np.array([0.35, 0.2, 0.5])


def bare(knapsack: Knapsack, solver: pulp.LpSolver) -> float:
    """Omega by PuLP alone: one binary per choice, no reduction, no start."""
    problem, objective = pulp.LpProblem("bare", pulp.LpMinimize), []
    rows: list[list[tuple[pulp.LpVariable, int]]] = [[] for _ in knapsack.limit]
    for group, (omega, cost) in enumerate(zip(knapsack.omega, knapsack.cost, strict=True)):
        row = [problem.add_variable(f"x{group}_{i}", cat="Binary") for i in range(len(omega))]
        problem.addConstraint(pulp.LpAffineExpression((x, 1) for x in row) == 1)
        objective += [(x, float(value)) for x, value in zip(row, omega, strict=True)]
        for budget, terms in enumerate(rows):
            terms += [(x, int(value)) for x, value in zip(row, cost[:, budget], strict=True)]
    problem.setObjective(pulp.LpAffineExpression(objective))
    for terms, limit in zip(rows, knapsack.limit, strict=True):
        problem.addConstraint(pulp.LpAffineExpression(terms) <= int(limit))
    problem.solve(solver)
    return float(pulp.value(problem.objective))


def cbc() -> pulp.LpSolver:
    """PuLP's bundled CBC with its defaults."""
    return pulp.COIN_CMD(path=pulp.PULP_CBC_CMD.pulp_cbc_path, msg=False)


def synthetic(layers: int, share: float = 1.0) -> Knapsack:
    """ResNet-50's middle layers, repeated and perturbed, six choices each, three budgets."""
    random, lines = np.random.default_rng(0), Notebook("ResNet-50").lines
    omega, cost = [], []
    for index in range(layers):
        line = lines[index % len(lines)]
        weights = int(int(line["parameters"]) * random.uniform(0.8, 1.2))
        macs = int(int(line["macs"]) * random.uniform(0.8, 1.2))
        harm = float(line["mean_trace"]) * float(line["weight_error_4"]) * random.uniform(0.5, 2)
        time_8 = float(line["t4_ms_8"])
        omega.append(np.array([harm * (4.0 ** (4 - w) + 4.0 ** (3 - a)) for w, a in WIDTHS]))
        cost.append(
            np.array(
                [
                    (weights * w, macs * w * a, int(1e6 * time_8 * (w * a / 64) ** 0.4))
                    for w, a in WIDTHS
                ]
            )
        )
    least, most = (sum(end(row, axis=0) for row in cost) for end in (np.min, np.max))
    return Knapsack(omega, cost, least + ((most - least) * SHARES * share).astype(np.int64))


def published() -> dict[str, Knapsack]:
    """HAWQ-V3's 18 problems."""
    problems = {}
    for network in PYTORCHCV_MACS:
        table = grid(Notebook(network).problem, CHOICES, {})
        for kind in BUDGETS:
            for level in LEVELS:
                limits = {kind: table.limit(kind, level)}
                problems[f"{network} {kind} {level}"] = table.knapsack(limits)
    return problems


def omega(knapsack: Knapsack, solver: Cbc | Highs) -> float:
    """Omega by our solver."""
    picks = solver(knapsack)
    return float("nan") if picks is None else knapsack.objective(picks.choice)


def front(problems: list[Knapsack], solver: Cbc | Highs) -> None:
    """A sweep, every solve started from its neighbour below."""
    start = None
    for problem in problems:
        picks = solver(problem, start)
        start = None if picks is None else picks.choice


def show(title: str, variants: dict[str, Callable[[], object]], rounds: int) -> None:
    """One table."""
    sys.stdout.write(f"\n{compare(variants, rounds, title)}\n")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    highs = pulp.HiGHS(msg=False)

    sys.stdout.write("18 published problems, milliseconds each (best of rounds) and omega\n")
    for name, problem in published().items():
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            value = omega(problem, Cbc())
            seconds.append(time.perf_counter() - started)
        sys.stdout.write(f"{name:28s} {1e3 * min(seconds):6.1f} ms  {value:.6f}\n")

    for layers in (54, 500):
        problem = synthetic(layers)
        values = (omega(problem, Cbc()), omega(problem, Cbc(gap=1e-3)), bare(problem, cbc()))
        sys.stdout.write(f"\n{layers} layers: omega ours, gap 0.1 %, bare CBC: {values}\n")
        show(
            f"{layers} layers, 6 choices, 3 budgets",
            {
                "bare CBC": lambda problem=problem: bare(problem, cbc()),
                "bare HiGHS": lambda problem=problem: bare(problem, highs),
                "ours, CBC": lambda problem=problem: omega(problem, Cbc()),
                "ours, HiGHS": lambda problem=problem: omega(problem, Highs()),
                "ours, CBC, gap 0.1 %": lambda problem=problem: omega(problem, Cbc(gap=1e-3)),
            },
            rounds if layers < 100 else min(rounds, 3),
        )

    budgets = [synthetic(54, share) for share in np.linspace(0.3, 1.6, 50)]
    show(
        "50 budgets, 54 layers",
        {
            "bare CBC": lambda: [bare(problem, cbc()) for problem in budgets],
            "ours, CBC": lambda: front(budgets, Cbc()),
        },
        1,
    )


if __name__ == "__main__":
    main()
