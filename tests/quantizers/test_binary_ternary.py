"""Binary, ternary and b-bit sets: the projection is the nearest point of its set."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers import Binary, Lloyd, Quantizer, Ternary
from dyadic.quantizers.binary_relax import quantization_set
from dyadic.quantizers.lloyd import least_squares_scale

small = st.lists(st.floats(-4, 4, width=16), min_size=1, max_size=6).map(torch.tensor)


def distance(quantizer: Quantizer, y: Tensor) -> float:
    return (quantizer(y) - y).double().square().sum().item()


def least_distance(y: Tensor, digits: list[int]) -> float:
    """Minimum over s > 0 and q in digits^n of ||y - s q||^2, by enumeration of q."""
    choices = torch.tensor(digits, dtype=torch.float64)
    q = torch.cartesian_prod(*[choices] * len(y)).reshape(-1, len(y))
    s = ((q @ y.double()) / q.square().sum(dim=1).clamp_min(1)).clamp_min(0)
    return (y - s[:, None] * q).square().sum(dim=1).min().item()


@given(y=small)
def test_binary_is_the_nearest_point(y: Tensor) -> None:
    if y.any():
        expected = least_distance(y, [-1, 1])
        assert distance(Binary(granularity="per_tensor"), y) == pytest.approx(expected, abs=1e-5)


@given(y=small)
def test_exact_ternary_is_the_nearest_point(y: Tensor) -> None:
    assert distance(Ternary(), y) == pytest.approx(least_distance(y, [-1, 0, 1]), abs=1e-5)


@given(y=small)
def test_lloyd_is_a_stationary_point_near_the_best(y: Tensor) -> None:
    best = least_distance(y[:4], list(range(-3, 4)))
    found = distance(Lloyd(3), y[:4])
    assert found >= best - 1e-5
    if y[:4].any():
        assert found <= y[:4].square().sum().item() / 36 * 4 + 1e-5  # half a step a value


@given(seed=st.integers(0, 1000), bits=st.integers(2, 6))
def test_lloyd_never_increases_its_error(seed: int, bits: int) -> None:
    y = torch.randn(1, 100, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    largest, errors = 2 ** (bits - 1) - 1, []
    for iterations in range(6):
        s = least_squares_scale(y, largest, iterations)
        q = (y / s).round().clamp(-largest, largest)
        errors.append((y - s * q).square().sum().item())
    assert all(after <= before + 1e-12 for before, after in pairwise(errors))


def test_gaussian_golden_numbers() -> None:
    w = torch.randn(400_000)
    for quantizer, alpha, share, error in [
        (Ternary(), 1.2240, 0.5405, 0.1902),
        (Ternary(rule="twn"), 1.1842, 0.5765, 0.1916),
        (Binary(granularity="per_tensor"), 0.7979, 1.0, 0.3634),
    ]:
        assert quantizer.codebook(w).scale.item() == pytest.approx(alpha, abs=0.01)
        assert (quantizer(w) != 0).float().mean().item() == pytest.approx(share, abs=0.005)
        assert distance(quantizer, w) / len(w) == pytest.approx(error, abs=0.002)


def test_one_channel_is_one_tensor() -> None:
    w = torch.randn(1, 500)
    for kind in (Binary, Ternary):
        whole, channel = (kind(granularity=g)(w) for g in ("per_tensor", "per_channel"))
        torch.testing.assert_close(whole, channel)


def test_the_sign_of_zero_is_positive() -> None:
    assert Binary(scale="one")(torch.tensor([[0.0, -0.0, -1e-9]])).tolist() == [[1.0, 1.0, -1.0]]


def test_sets_by_bit_width() -> None:
    kinds = [type(quantization_set(bits)) for bits in (1, 2, 3, 8)]
    assert kinds == [Binary, Ternary, Lloyd, Lloyd]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Binary, {"bits": 2}),
        (Binary, {"signed": False}),
        (Binary, {"scale": "median"}),
        (Ternary, {"bits": 3}),
        (Ternary, {"rule": "cheap"}),
        (Ternary, {"rule": "twn", "granularity": "per_channel"}),
        (Lloyd, {"bits": 1}),
        (Lloyd, {"bits": 4, "iterations": 0}),
        (Lloyd, {"bits": 4, "signed": False}),
    ],
)
def test_wrong_options(kind: type, options: dict) -> None:
    with pytest.raises(UserError):
        kind(**options)


def test_twn_takes_what_is_above_its_threshold_and_not_on_it() -> None:
    # A mean of 1 in float32: the first weight lies on the threshold.
    book = Ternary(rule="twn").codebook(torch.tensor([0.7, 3.3, 0.0, 0.0]))
    assert book.scale.item() == torch.tensor(3.3).item()
    # Here alpha is 2, so the boundary is exact.
    book = Ternary(rule="twn").codebook(torch.tensor([2.0, 2.0, 0.0, 0.0]))
    assert book(torch.tensor([0.7, -0.7, 0.71])).tolist() == [0.0, 0.0, 2.0]
