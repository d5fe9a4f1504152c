"""Rounding rules against exact arithmetic; stochastic rounding keeps the mean and its stream."""

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.quantizers.rounding import Rounding, Stochastic, ceil, floor, half_up, nearest_even

ratios = st.floats(-300, 300, width=32)


@pytest.mark.parametrize(
    ("rule", "exact"),
    [(nearest_even, round), (half_up, lambda x: math.floor(x + Fraction(1, 2)))],
)
@given(x=ratios)
def test_nearest(rule: Rounding, exact: Callable[[Fraction], int], x: float) -> None:
    assert rule(torch.tensor([x])).item() == exact(Fraction(x))


def test_half_up_does_not_round_up_the_float_below_a_half() -> None:
    below = torch.nextafter(torch.tensor([0.5]), torch.tensor([0.0]))
    assert half_up(below.clone()).item() == 0.0


@pytest.mark.parametrize(("rule", "exact"), [(floor, math.floor), (ceil, math.ceil)])
@given(x=ratios)
def test_directed(rule: Rounding, exact: Callable[[float], int], x: float) -> None:
    on_grid = abs(x - round(x)) <= 1e-6 * abs(round(x))
    assert rule(torch.tensor([x])).item() == (round(x) if on_grid else exact(x))


def test_stochastic_rounding_keeps_the_mean() -> None:
    x = torch.full((100_000,), 2.3)
    value = Stochastic()(x)
    assert set(value.tolist()) == {2.0, 3.0}
    assert value.mean().item() == pytest.approx(2.3, abs=0.01)


def test_the_stochastic_stream_is_its_own_and_resumes() -> None:
    first, second = Stochastic(seed=5), Stochastic(seed=5)
    x = torch.rand(50)
    before = torch.random.get_rng_state()
    first(x.clone())
    assert torch.equal(before, torch.random.get_rng_state())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x.clone()), second(x.clone()))
    assert not torch.equal(first(x.clone()), first(x.clone()))


def test_evaluation_rounds_to_the_nearest() -> None:
    assert Stochastic().eval()(torch.tensor([0.4, 0.6, 1.5])).tolist() == [0.0, 1.0, 2.0]
