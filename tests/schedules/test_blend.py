import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dyadic.errors import UserError
from dyadic.network.weights import WeightQuantization
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.blend import Geometric, GrowingBlend, linear, slow_ends


def test_theta_of_the_authors_schedule():
    """1.04 an epoch to epoch 150: 0.51 at the first step, 0.9 at 56, 0.99 at 117, then exact."""
    schedule = GrowingBlend(150, 50, Geometric(lambda0=1, rho=1.04))
    assert schedule.blend(0) == 1.04 / 2.04
    assert schedule.blend(55) < 0.9 <= schedule.blend(56)
    assert schedule.blend(116) < 0.99 <= schedule.blend(117)
    assert round(schedule.blend(149), 4) == 0.9972
    assert schedule.blend(150) == 1.0


def test_half_epochs_grow_twice_an_epoch():
    growth = Geometric(rho=1.02, every=0.5)
    assert growth(0.25, 150) == growth(0, 150) < growth(0.5, 150) == growth(0.75, 150)
    strength = growth(149.5, 150) / (1 - growth(149.5, 150))
    assert math.isclose(strength, 1.02**300)


def test_growth_at_every_step_has_no_stairs():
    growth = Geometric(rho=2.0, every=0)
    assert math.isclose(growth(0.5, 4), 2**1.5 / (1 + 2**1.5))


def test_a_sum_of_steps_reaches_the_next_update():
    below_one = sum([0.1] * 10)
    assert below_one < 1
    assert Geometric()(below_one, 10) == Geometric()(1, 10)


@given(st.floats(0, 20), st.floats(0, 20))
def test_theta_grows(a: float, b: float):
    for growth in (Geometric(rho=1.5, every=0.5), linear, slow_ends):
        low, high = growth(min(a, b), 10), growth(max(a, b), 10)
        assert 0 <= low <= high <= 1


def test_growth_may_stand_still_and_nothing_less():
    assert Geometric(rho=1.0)(5, 10) == 0.5
    assert Geometric(lambda0=2.0, rho=None, last=2.0)(5, 10) == pytest.approx(2 / 3)
    assert Geometric() == Geometric(1.0, 1.04, 1.0)


def test_linear_starts_from_float_and_ends_exact():
    assert [linear(e, 10) for e in (0, 5, 10, 11)] == [0, 0.5, 1, 1]
    assert [slow_ends(e, 3) for e in (0, 1, 2, 3)] == pytest.approx([0, 0.25, 0.75, 1])


def test_the_network_computes_with_the_blend_and_is_scored_projected(build, drive):
    network = build(Uniform, bits=3)
    schedule = GrowingBlend(1, 1, Geometric(rho=2.0))
    w = next(network.weights())[0].module.parametrizations.weight.original
    seen = []

    def watch(phase: int, moment: str) -> None:
        layer, weights = next(network.weights())
        seen.append((phase, moment, weights.blend))
        if moment == "trained":
            assert torch.equal(layer.module.weight, weights.codebook(w)(w))

    drive(network, schedule, watch=watch)
    assert seen == [
        (0, "arranged", 1.0), (0, "trained", 1.0), (1, "arranged", 1.0), (1, "trained", 1.0)
    ]  # fmt: skip
    schedule.step(network, 0.0)
    layer, weights = next(network.weights())
    expected = (2 * weights.codebook(w)(w) + w) / 3
    assert torch.allclose(layer.module.weight, expected)


class Fixed(Quantizer):
    """Levels -0.5, 0, 0.5, whatever the tensor."""

    def codebook(self, x: Tensor | None = None) -> Codebook:
        return Codebook(torch.tensor(0.5, dtype=torch.float64), torch.tensor([-1, 0, 1]), bits=2)


@given(st.floats(-2, 2), st.floats(0.01, 100))
def test_the_relaxation_minimizes_its_objective(y: float, strength: float):
    """The blend x minimizes |x - y|^2 / 2 + lambda / 2 * dist(x, Q)^2: no grid point is better."""
    weights = WeightQuantization(Fixed(bits=2))
    weights.blend = strength / (1 + strength)
    levels = torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64)

    def cost(x: Tensor) -> Tensor:
        distance = (x[..., None] - levels).abs().amin(-1)
        return (x - y) ** 2 / 2 + strength / 2 * distance**2

    x = weights(torch.tensor(y, dtype=torch.float64))
    grid = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    assert cost(x) <= cost(grid).min() + 1e-9


@pytest.mark.parametrize("every", [0.25, 0.5, 1.0, 0])
@pytest.mark.parametrize("epochs", [1, 2, 3, 8])
def test_lambda_ends_where_it_is_told_to_whatever_the_epochs(epochs: int, every: float):
    growth = Geometric(rho=None, last=359.0, every=every)
    assert growth(epochs - 1e-7, epochs) == pytest.approx(359 / 360, abs=1e-6)
    assert growth(0, epochs) <= 359 / 360


@pytest.mark.parametrize(
    "wrong",
    [
        {"lambda0": 0},
        {"lambda0": -2.0, "rho": None, "last": -4.0},
        {"rho": 0.9},
        {"every": -1},
        {"last": 10.0},
        {"rho": None},
        {"rho": None, "last": 0.5},
        {"rho": None, "last": 0.0},
        {"lambda0": 2.0, "rho": None, "last": 1.5},
    ],
)
def test_growth_refuses_what_does_not_grow(wrong: dict):
    with pytest.raises(UserError):
        Geometric(**wrong)
