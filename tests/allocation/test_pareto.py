from pathlib import Path

import pandas as pd
import pytest
from experiments.hawq_v3.published import CHOICES, Notebook

from dyadic.allocation import Cbc, Constrained, RandomFill
from dyadic.allocation.pareto import random_points, sweep, table, uniform_points, write_table
from dyadic.allocation.problem import grid

GRID = grid(Notebook("ResNet-18").problem, CHOICES, {})
SHARES = [0.75, 0.0, 0.5, 1.0, 0.25]


def test_a_wider_budget_never_does_more_harm() -> None:
    solutions = [point.solution for point in sweep(GRID, "gbops", SHARES, Cbc())]
    omegas = [solution.omega for solution in solutions]
    assert omegas == sorted(omegas, reverse=True)
    assert set(solutions[0].bits.values()) == {(4, 4)}
    assert set(solutions[-1].bits.values()) == {(8, 8)}


def test_a_solution_does_not_depend_on_its_neighbour() -> None:
    together = sweep(GRID, "size", SHARES, Cbc())
    alone = [sweep(GRID, "size", [share], Cbc())[0] for share in sorted(SHARES)]
    assert [p.solution.omega for p in together] == [p.solution.omega for p in alone]


def test_random_ones_keep_the_budget_and_never_beat_the_ilp() -> None:
    best = {point.share: point.solution for point in sweep(GRID, "gbops", SHARES, Cbc())}
    points = random_points(GRID, "gbops", SHARES, range(10))
    assert [point.seed for point in points if point.share == 0.5] == list(range(10))
    assert {point.share for point in points} == {0.25, 0.5, 0.75}
    for point in points:
        assert point.share is not None
        limit = GRID.limit("gbops", point.share) / 10**9
        assert point.solution.totals["gbops"] <= limit
        assert point.solution.omega >= best[point.share].omega
    different = {tuple(p.solution.picks) for p in points if p.share == 0.5}
    assert len(different) == 10


def test_random_ones_are_those_of_a_run_with_the_same_seed() -> None:
    point = random_points(GRID, "size", [0.5], [3])[0]
    run = Constrained(
        budget={"size": 0.5}, solver=RandomFill(seed=3), first_bits=None, last_bits=None
    )
    assert run.assign(Notebook("ResNet-18").problem) == point.solution.bits


def test_uniform_ones_are_the_ends() -> None:
    points = uniform_points(GRID)
    assert not any(point.solution.proven for point in points)
    ends = sweep(GRID, "gbops", [0.0, 1.0], Cbc())
    assert [p.solution.bits for p in points] == [p.solution.bits for p in ends]
    assert [p.solution.totals for p in points] == [p.solution.totals for p in ends]
    assert [p.solution.omega for p in points] == [p.solution.omega for p in ends]


def test_uniform_ones_leave_fixed_layers_as_they_are() -> None:
    problem = Notebook("ResNet-18").problem
    first, *others = [layer.name for layer in problem.layers]
    fixed = grid(problem, CHOICES, {first: (8, 8)})
    assert [point.solution.bits for point in uniform_points(fixed)] == [
        {first: (8, 8)} | dict.fromkeys(others, bits) for bits in CHOICES
    ]


def test_without_a_free_layer_there_is_no_uniform_one() -> None:
    fixed = {layer.name: (8, 8) for group in GRID.groups for layer in group}
    assert uniform_points(grid(Notebook("ResNet-18").problem, CHOICES, fixed)) == []


def test_the_front_is_a_table_of_budgets_and_what_they_buy(tmp_path: Path) -> None:
    points = [
        *sweep(GRID, "latency", SHARES, Cbc()),
        *random_points(GRID, "latency", SHARES, range(2)),
        *uniform_points(GRID),
    ]
    write_table(tmp_path / "front.csv", table(GRID, "latency", points))
    read = pd.read_csv(tmp_path / "front.csv")
    assert read.columns[0] == "source"
    ilp = read[read.source == "ilp"]
    assert ilp.share.tolist() == sorted(SHARES)
    assert ilp.proven.all()
    budgeted = read[read.source != "uniform"]
    assert (budgeted.latency_ms <= budgeted.budget).all()
    ends = read[read.source == "uniform"].latency_ms.tolist()
    assert ilp.budget.iloc[[0, -1]].tolist() == pytest.approx(ends, rel=1e-12)
    assert read.source.value_counts().to_dict() == {"ilp": 5, "random": 6, "uniform": 2}
    assert read["stage1.unit1.conv1"].isin(["4/4", "8/8"]).all()
    row, point = ilp.iloc[2], points[2].solution
    assert row.omega == pytest.approx(point.omega, rel=1e-12)
    assert (row.size_mib, row.gbops) == (point.totals["size"], point.totals["gbops"])
