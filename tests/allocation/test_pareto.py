from pathlib import Path

import pandas as pd

from dyadic.allocation import Cbc, greedy
from dyadic.allocation.pareto import front, sweep, write_front
from dyadic.allocation.problem import grid
from dyadic.allocation.published import CHOICES, Notebook

GRID = grid(Notebook("ResNet-18").problem, CHOICES, {})
SHARES = [0.75, 0.0, 0.5, 1.0, 0.25]


def test_a_wider_budget_never_does_more_harm() -> None:
    solutions = sweep(GRID, "gbops", SHARES, Cbc())
    omegas = [solution.omega for solution in solutions]
    assert omegas == sorted(omegas, reverse=True)
    assert set(solutions[0].bits.values()) == {(4, 4)}
    assert set(solutions[-1].bits.values()) == {(8, 8)}


def test_a_solution_does_not_depend_on_its_neighbour() -> None:
    together = sweep(GRID, "size", SHARES, Cbc())
    alone = [sweep(GRID, "size", [share], Cbc())[0] for share in sorted(SHARES)]
    assert [s.omega for s in together] == [s.omega for s in alone]


def test_the_front_is_a_table_of_budgets_and_what_they_buy(tmp_path: Path) -> None:
    table = front(GRID, "latency", SHARES, sweep(GRID, "latency", SHARES, greedy))
    write_front(tmp_path / "front.csv", table)
    read = pd.read_csv(tmp_path / "front.csv")
    assert read["share"].tolist() == sorted(SHARES)
    assert (read["latency"] <= read["limit"]).all()
    assert read["stage1.unit1.conv1"].isin(["4/4", "8/8"]).all()
    assert not read["proven"].any()
