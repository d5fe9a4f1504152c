import math
from pathlib import Path

import numpy as np
import pytest

from dyadic.allocation import Constrained, LatencyTable, LayerCost, Problem
from dyadic.allocation.latency import REPEATS, SHARE, measure, rows_of
from dyadic.errors import UserError

LAYERS = [
    LayerCost("a", 10, 100, "1x10@10"),
    LayerCost("b", 20, 200, "2x10@10"),
    LayerCost("c", 20, 200, "2x10@10"),
]
CHOICES = [(4, 4), (8, 8)]


def table() -> LatencyTable:
    times = {("a", (8, 8)): 2.0, ("a", (4, 4)): 1.0, ("b", (8, 8)): 3.0, ("b", (4, 4)): 3.0}
    return measure("here", LAYERS, CHOICES, lambda layer, bits: lambda: times[layer.name, bits])


def test_layers_of_one_shape_are_timed_once_and_repeated_times_give_their_median() -> None:
    times = iter([9.0, 5.0, 1.0, 6.0, 2.0, 8.0, *range(10, 16), *range(20, 26)])
    made = measure("here", LAYERS, CHOICES, lambda layer, bits: lambda: next(times), repeats=3)
    assert [row.milliseconds for row in made.rows] == [2.0, 6.0, 12.0, 13.0, 12.0, 13.0]
    assert [row.spread for row in made.rows[:2]] == [4.0, 1.5]
    assert next(times) == 20


def test_widths_take_turns() -> None:
    order: list[tuple[int, int]] = []

    def prepare(layer: LayerCost, bits: tuple[int, int]):
        return lambda: order.append(bits) or 1.0

    measure("here", LAYERS[:1], CHOICES, prepare, repeats=2)
    assert order == [(8, 8), (4, 4), (8, 8), (4, 4)]


@pytest.mark.parametrize(
    ("narrow", "wide", "faster"),
    [
        ([1.0, 1.0, 1.0, 1.0], [1.001, 1.001, 1.001, 1.001], True),  # no noise: any gain counts
        ([1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0], False),
        ([2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0], False),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 1.3, 1.3, 1.3], False),  # disturbed three times of four
        ([0.9, 0.9, 0.9, 1.5], [1.0, 1.3, 1.3, 1.3], True),
        ([0.9, 0.9, 1.5, 1.5], [1.0, 1.3, 1.3, 1.3], False),
    ],
)
def test_faster_is_mostly_below_the_best_of_the_wider(narrow, wide, faster: bool) -> None:
    rows = rows_of(LAYERS[0], {(8, 8): wide, (4, 4): narrow})
    assert [row.faster for row in rows] == [True, faster]


def test_alike_widths_come_out_faster_once_in_190_000_times() -> None:
    """All of the smallest timings are of one pair: the others' places among those that are left."""
    needed, left = math.ceil(SHARE * REPEATS), 2 * REPEATS
    ways = math.comb(left - needed, REPEATS - needed) / math.comb(left, REPEATS)
    assert round(1 / ways, -4) == 190_000


@pytest.mark.parametrize(("first", "second"), [(1.0, 2.0), (2.0, 1.0)])
def test_of_two_widths_neither_is_the_wider_where_each_has_more_in_one(first, second) -> None:
    rows = rows_of(LAYERS[0], {(8, 4): [first], (4, 8): [second]})
    assert [(row.faster, row.spread) for row in rows] == [(True, 0.0), (True, 0.0)]


@pytest.mark.parametrize("disturbed", [0.0, 0.2, 0.5, 0.9])
def test_alike_widths_are_not_faster_by_luck(disturbed: float) -> None:
    """Bimodal noise, as on a shared machine."""
    noise = np.random.default_rng(0)

    def times() -> list[float]:
        slow = noise.random(REPEATS) < disturbed
        return (noise.normal(1.0, 0.01, REPEATS) + 0.3 * slow).tolist()

    for _ in range(200):
        rows = rows_of(LAYERS[0], {(8, 8): times(), (4, 4): times()})
        assert [row.faster for row in rows] == [True, False]


def test_a_width_counts_as_one_that_is_itself_faster() -> None:
    times = {(8, 8): [3.0], (8, 4): [3.0], (4, 8): [3.1], (4, 4): [3.0]}
    made = LatencyTable("here", rows_of(LAYERS[0], times))
    assert {row.bits for row in made.rows if row.faster} == {(8, 8)}
    assert {made.milliseconds(LAYERS[0], bits) for bits in times} == {3.0}


def test_a_width_that_is_not_faster_is_told_and_counts_as_the_wider_one() -> None:
    made = table()
    told = {(row.layer.name, row.bits): row.faster for row in made.rows}
    assert told["a", (4, 4)]
    assert not told["b", (4, 4)]
    assert made.milliseconds(LAYERS[0], (4, 4)) == 1.0
    assert made.milliseconds(LAYERS[1], (4, 4)) == made.milliseconds(LAYERS[1], (8, 8)) == 3.0


def test_the_solver_keeps_the_wider_one_where_narrower_is_not_faster(tmp_path: Path) -> None:
    table().write(tmp_path / "here.csv")
    allocation = Constrained(
        budget={"latency": 0.0}, first_bits=None, last_bits=None,
        latency_table=str(tmp_path / "here.csv"),
    )  # fmt: skip
    solution = allocation.solution(Problem(LAYERS, lambda layer, w, a: 4.0**-w))
    assert solution.bits == {"a": (4, 4), "b": (8, 8), "c": (8, 8)}
    assert solution.totals["latency"] == 7.0


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = measure("one", LAYERS[:1], CHOICES[:1], lambda layer, bits: lambda: 2.5)
    for made in (table(), one):
        made.write(tmp_path / "here.csv")
        assert LatencyTable.read(tmp_path / "here.csv") == made
    assert one.milliseconds(LAYERS[0], (4, 4)) == 2.5


@pytest.mark.parametrize(
    ("layer", "bits", "said"),
    [
        (LayerCost("d", 10, 100), (8, 8), "of another network: it has no layer d"),
        (LayerCost("a", 10, 400), (8, 8), "of another network: it has no layer a of 10 weights"),
        (LAYERS[0], (2, 8), r"has no 2/8 bits for a; it has 8/8, 4/4"),
    ],
)
def test_a_table_of_something_else_is_refused(layer, bits, said: str) -> None:
    with pytest.raises(UserError, match=said):
        table().milliseconds(layer, bits)


def test_a_missing_file_and_a_file_of_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no latency table"):
        LatencyTable.read(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="is no latency table"):
        LatencyTable.read(tmp_path / "other.csv")
