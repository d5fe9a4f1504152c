"""`python -m dyadic pareto CHOICES`: what every budget of bits buys, as a table and a plot."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from omegaconf import DictConfig

from dyadic.allocation.allocation import Allocation, Constrained
from dyadic.allocation.pareto import random_points, sweep, table, uniform_points, write_table
from dyadic.allocation.problem import MEASURES
from dyadic.allocation.solvers.ilp import Ilp
from dyadic.commands.build import build
from dyadic.commands.parts import plain
from dyadic.commands.run import composed
from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.identity import digest, identify
from dyadic.record.read import read_records
from dyadic.report.charts import svg
from dyadic.report.fronts import advantage, omega_figure, scored
from dyadic.run.pipeline import Run, allocation_problem, float_baseline, float_network

OPTIONS = {"measure": "gbops", "points": 21, "random": 10}
"""Choices of this command alone: what is limited, how many budgets, random allocations of each."""


def pareto(choices: Sequence[str]) -> str:
    """Solve for every budget, write `results/pareto/NAME.csv` and `.svg`; returns what they say.

    choices   as `run.py` takes them, and those of `OPTIONS`; without an allocation, allocation=ilp

    The sensitivity is measured once, on the float network of a run with the same choices; the same
    command writes the same files again. Raises UserError for choices that make no front.
    """
    cfg = _composed(choices)
    measure, points, random = (cfg.get(key, value) for key, value in OPTIONS.items())
    _check(measure, points, random)
    run = build(cfg, Path(cfg.results_dir, "pareto"))
    front = _front(run, measure, points, random)
    facts = _facts(cfg, run)
    for position, (key, value) in enumerate(facts.items()):
        front.insert(position, key, value)
    path = run.directory / f"{_name(cfg, facts, measure)}.csv"
    front = scored(front, read_records(Path(cfg.results_dir, "runs")))
    write_table(path, front)
    write_text(path.with_suffix(".svg"), svg(omega_figure(front)))
    return f"{path}: {_conclusion(front)}"


def _composed(choices: Sequence[str]) -> DictConfig:
    """The configuration of a run with these choices."""
    given = [f"+{choice}" if choice.partition("=")[0] in OPTIONS else choice for choice in choices]
    if not any(choice.startswith("allocation=") for choice in given):
        given.append("allocation=ilp")
    return composed(given)


def _check(measure: str, points: int, random: int) -> None:
    if measure not in MEASURES:
        raise UserError(f"measure={measure}; a budget is one of {', '.join(MEASURES)}")
    if not isinstance(points, int) or points < 2:
        raise UserError(f"points={points}; a front has at least 2 budgets")
    if not isinstance(random, int) or random < 0:
        raise UserError(f"random={random}; it is 0 or more allocations of each budget")


def _front(run: Run, measure: str, points: int, random: int) -> pd.DataFrame:
    allocation = _swept(run.allocation)
    network = float_network(run, float_baseline(run))
    grid = allocation.grid(allocation_problem(run, network))
    shares = [round(float(share), 6) for share in np.linspace(0, 1, points)]
    solved = sweep(grid, measure, shares, allocation.solver)
    blind = random_points(grid, measure, shares, range(random))
    return table(grid, measure, [*solved, *blind, *uniform_points(grid)])


def _swept(allocation: Allocation) -> Constrained:
    """The allocation whose budgets are swept; UserError where it has none, or one already."""
    if not isinstance(allocation, Constrained) or not isinstance(allocation.solver, Ilp):
        raise UserError("a front is the ILP's; choose allocation=ilp, with solver cbc or highs")
    if allocation.budgets:
        raise UserError("a front sweeps its budget; leave allocation.budget empty")
    return allocation


def _facts(cfg: DictConfig, run: Run) -> dict[str, str]:
    """What the front is of."""
    return {
        "dataset": str(cfg.dataset.name),
        "model": str(cfg.model.name),
        "method": str(cfg.method.name),
        "sensitivity": type(run.sensitivity).__name__.lower(),
        "float_seed": f"s{cfg.seed}",
        "float_network": identify(plain(cfg), run.baseline_determined_by)["network"],
    }


def _name(cfg: DictConfig, facts: dict[str, str], measure: str) -> str:
    """The main choices in clear, and a hash of all that the front depends on."""
    parts = [plain(cfg[key]) for key in ("quantizer", "allocation", "sensitivity")]
    named = [value for key, value in facts.items() if key != "float_network"]
    return "-".join([*named, measure, digest([*parts, facts["float_network"]])[:6]])


def _conclusion(front: pd.DataFrame) -> str:
    counts = front.source.value_counts()
    line = ", ".join(f"{counts[name]} {name}" for name in counts.index)
    found = advantage(front)
    if found is not None:
        share = f"{100 * found[0]:.0f} %"
        line += f"; at {share} random widths do {found[1]:.2f} times the harm of the ILP's"
    trained = int((front.runs > 0).sum())
    return f"{line}; {trained} of {len(front)} have runs"
