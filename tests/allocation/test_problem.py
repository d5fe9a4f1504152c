"""Layers and widths as a knapsack."""

from tests.allocation.test_allocation import PROBLEM

from dyadic.allocation.problem import grid


def test_costs_are_a_column_for_every_limit() -> None:
    choices = [(2, 2), (4, 4), (8, 8)]
    table = grid(PROBLEM, choices, {})
    assert len(table.groups) == 4  # the downsample convolution takes its block's widths
    for limits in ({}, {"size": 1}, {"size": 1, "gbops": 1}):
        knapsack = table.knapsack(limits)
        assert {cost.shape for cost in knapsack.cost} == {(len(choices), len(limits))}
        assert knapsack.limit.shape == (len(limits),)
