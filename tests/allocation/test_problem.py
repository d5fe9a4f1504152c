"""Layers and widths as a knapsack."""

from dataclasses import replace

import pytest
from tests.allocation.test_allocation import PROBLEM

from dyadic.allocation.problem import grid
from dyadic.errors import UserError


def test_costs_are_a_column_for_every_limit() -> None:
    choices = [(2, 2), (4, 4), (8, 8)]
    table = grid(PROBLEM, choices, {})
    assert len(table.groups) == 4  # the downsample convolution takes its block's widths
    for limits in ({}, {"size": 1}, {"size": 1, "gbops": 1}):
        knapsack = table.knapsack(limits)
        assert {cost.shape for cost in knapsack.cost} == {(len(choices), len(limits))}
        assert knapsack.limit.shape == (len(limits),)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_sensitivity_that_is_not_finite_names_its_layer(value: float) -> None:
    problem = replace(PROBLEM, omega=lambda layer, *_: value if layer == "a.conv2" else 1.0)
    with pytest.raises(UserError, match=r"sensitivity of layer a\.conv2 is not finite"):
        grid(problem, [(4, 4), (8, 8)], {})
