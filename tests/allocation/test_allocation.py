import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.allocation import Cbc, Constrained, Fixed, LayerCost, Problem, RandomFill, greedy
from dyadic.allocation.cost import gbops, size_mib
from dyadic.allocation.solve import solve
from dyadic.allocation.solvers.knapsack import Picks
from dyadic.errors import UserError

LAYERS = [
    LayerCost("conv1", 100, 10_000_000),
    LayerCost("a.conv1", 2_000, 40_000_000),
    LayerCost("a.conv2", 4_000, 40_000_000),
    LayerCost("a.downsample", 500, 5_000_000),
    LayerCost("fc", 1_000, 1_000_000),
]


def omega(layer: str, weight_bits: int, activation_bits: int) -> float:
    return {"a.conv1": 3.0, "a.conv2": 1.0, "a.downsample": 9.0}.get(layer, 5.0) * 4.0**-weight_bits


PROBLEM = Problem(LAYERS, omega, ties={"a.downsample": "a.conv1"})


def test_fixed_names_ends_and_exceptions() -> None:
    fixed = Fixed(3, 4, first_bits=8, last_bits=[8, 6], overrides={"a.conv2": 5})
    assert fixed.assign(PROBLEM) == {
        "conv1": (8, 8),
        "a.conv1": (3, 4),
        "a.conv2": (5, 5),
        "a.downsample": (3, 4),
        "fc": (8, 6),
    }


def test_fixed_with_float_activations_leaves_them_float_everywhere() -> None:
    bits = Fixed(5, first_bits=8, overrides={"fc": 4}).assign(PROBLEM)
    assert bits["conv1"] == (8, 32)
    assert bits["fc"] == (4, 32)
    assert bits["a.conv1"] == (5, 32)


@pytest.mark.parametrize("allocation", [Fixed(4), Constrained()])
def test_a_layer_that_does_not_exist_is_named(allocation: Fixed | Constrained) -> None:
    with pytest.raises(UserError, match=r"no layer is called b\.conv1; the layers are conv1, a"):
        replace(allocation, overrides={"b.conv1": 8}).assign(PROBLEM)


def test_ends_stay_at_eight_bits_and_ties_hold() -> None:
    bits = Constrained(budget={"size": 0.5}).assign(PROBLEM)
    assert bits["conv1"] == bits["fc"] == (8, 8)
    assert bits["a.downsample"] == bits["a.conv1"]


@pytest.mark.parametrize("budget", [{"size": 0.5}, {"gbops": "4GBOPS", "size": 0.75}, {}])
def test_what_is_spent_is_what_the_solution_comes_to(budget: dict) -> None:
    allocation = Constrained(budget=budget)
    solution = allocation.solution(PROBLEM)
    spent = allocation.spent(PROBLEM, solution.bits)
    assert list(spent) == [name for name in ("size", "gbops") if name in (budget or ["gbops"])]
    for name, used in spent.items():
        assert used["used"] == solution.totals[name]
        assert used["limit"] is not None
        assert used["used"] <= used["limit"]


def test_a_limit_is_told_in_the_unit_that_it_was_given_in() -> None:
    allocation = Constrained(budget={"gbops": "4GBOPS", "size": "0.25MiB"})
    spent = allocation.spent(PROBLEM, allocation.assign(PROBLEM))
    assert {name: row["limit"] for name, row in spent.items()} == {"gbops": 4.0, "size": 0.25}


def test_ties_can_be_let_go() -> None:
    tied = Constrained(budget={"size": 0.1})
    assert tied.assign(PROBLEM)["a.downsample"] == (4, 4)
    free = replace(tied, ties=False).assign(PROBLEM)
    assert free["a.downsample"] == (8, 8)
    assert free["a.conv1"] == (4, 4)


@given(share=st.floats(0, 1))
def test_a_share_lies_between_all_low_and_all_high(share: float) -> None:
    allocation = Constrained(budget={"gbops": share}, solver=greedy)
    limit = allocation.limits(allocation.grid(PROBLEM))["gbops"]
    ends = 64 * (LAYERS[0].macs + LAYERS[-1].macs)
    middle = sum(layer.macs for layer in LAYERS[1:-1])
    assert limit == ends + 16 * middle + math.floor(share * (48 * middle))


def test_zero_share_is_all_low_and_a_full_one_all_high() -> None:
    low = Constrained(budget={"size": 0.0, "gbops": 0.0}).assign(PROBLEM)
    high = Constrained(budget={"size": 1.0}).assign(PROBLEM)
    for layer in LAYERS[1:-1]:
        assert low[layer.name] == (4, 4)
        assert high[layer.name] == (8, 8)


def test_an_absolute_budget_is_over_the_whole_network() -> None:
    solution = Constrained(budget={"gbops": "4 GBOPS"}).solution(PROBLEM)
    assert solution.totals["gbops"] == gbops(LAYERS, solution.bits) <= 4.0
    assert solution.totals["size"] == size_mib(LAYERS, solution.bits)


def test_without_any_budget_half_the_bit_operations() -> None:
    half = Constrained(budget={"gbops": 0.5})
    assert Constrained().assign(PROBLEM) == half.assign(PROBLEM)


def test_overrides_are_kept_by_the_solver() -> None:
    bits = Constrained(budget={"size": 1.0}, overrides={"a.conv2": [4, 8]}).assign(PROBLEM)
    assert bits["a.conv2"] == (4, 8)


def test_tied_layers_with_different_overrides_are_refused() -> None:
    overrides = {"a.conv1": 8, "a.downsample": 4}
    with pytest.raises(UserError, match=r"a\.conv1, a\.downsample .* ties=false"):
        Constrained(overrides=overrides).assign(PROBLEM)
    assert Constrained(overrides=overrides, ties=False).assign(PROBLEM)["a.downsample"] == (4, 4)


@pytest.mark.parametrize("solver", [Cbc(), greedy, RandomFill()])
def test_an_infeasible_budget_names_the_tightest_value(solver) -> None:
    bits = dict.fromkeys([layer.name for layer in LAYERS], (4, 4)) | {"conv1": (8, 8), "fc": (8, 8)}
    tightest = gbops(LAYERS, bits)
    with pytest.raises(UserError, match=rf"gbops 0\.5GBOPS \(tightest feasible: {tightest:g}GBOPS"):
        Constrained(budget={"gbops": "0.5GBOPS"}, solver=solver).assign(PROBLEM)
    assert Constrained(budget={"gbops": f"{tightest}GBOPS"}, solver=solver).assign(PROBLEM) == bits


def test_budgets_that_only_clash_together_name_each_others_tightest_value() -> None:
    """8-bit weights for small activations or the reverse: each budget fits alone, not both."""
    allocation = Constrained(
        choices=[[8, 2], [2, 32]], budget={"size": "0.002MiB", "gbops": "3.0GBOPS"}, ties=False,
        first_bits=None, last_bits=None,
    )  # fmt: skip
    with pytest.raises(
        UserError, match=r"size .*tightest feasible.*, or gbops .*tightest feasible"
    ):
        allocation.assign(PROBLEM)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"budget": {"gbops": 12.0}}, "budget.gbops=12.0 is no share .*, as in 0.5GBOPS"),
        ({"budget": {"gbops": 1.001}}, "budget.gbops=1.001 is no share"),
        ({"budget": {"gbops": "3MiB"}}, "budget.gbops=3MiB is no share"),
        ({"budget": {"bops": 1.0}}, "no budget is called bops; they are size, gbops, latency"),
        ({"budget": {"size": "-1MiB"}}, "budget.size=-1MiB is no share"),
    ],
)
def test_wrong_budgets_are_one_clear_line(wrong: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Constrained(**wrong)


def test_a_latency_budget_without_a_table_is_refused() -> None:
    with pytest.raises(UserError, match="python -m dyadic latency"):
        Constrained(budget={"latency": 0.5}).assign(PROBLEM)


def test_an_answer_that_exceeds_the_budget_is_not_believed() -> None:
    def liar(knapsack, start=None) -> Picks:
        return Picks([len(row) - 1 for row in knapsack.omega], proven=True)

    allocation = Constrained(budget={"size": 0.5}, solver=liar)
    with pytest.raises(RuntimeError, match="exceeds its budget"):
        allocation.assign(PROBLEM)


def test_a_start_outside_the_limits_is_left_aside() -> None:
    seen = []

    def watching(knapsack, start=None) -> Picks | None:
        seen.append(start)
        return greedy(knapsack)

    table = Constrained().grid(PROBLEM)
    wide = solve(table, {"size": table.limit("size", 1.0)}, watching)
    solve(table, {"size": table.limit("size", 0.2)}, watching, wide)
    solve(table, {"size": table.limit("size", 1.0)}, watching, wide)
    assert seen == [None, None, wide.picks]
