"""Optimal quantizers of N(0, 1) against published tables and numerical integration."""

import pytest
import torch
from torch import Tensor

from dyadic.quantizers.gaussian import (
    lloyd_levels,
    mid_rise_step,
    optimal_step,
    standard_deviation,
)

X = torch.linspace(0, 9, 900_001, dtype=torch.float64)
DENSITY = torch.exp(-X.square() / 2) / (2 * torch.pi) ** 0.5 * (X[1] - X[0])


def half_wave_error(levels: Tensor, cuts: Tensor, start: float = 0.0) -> float:
    """E[(Q(x) - x)^2; x > start] of levels (the first one 0) and cuts, by the Riemann sum."""
    error = levels[torch.bucketize(X, cuts)] - X
    return (error.square() * DENSITY)[start < X].sum().item()


def uniform_error(step: float, count: int, first: float, start: float = 0.0) -> float:
    k = torch.arange(count + 1, dtype=torch.float64)
    cuts = ((k[1:] - 0.5) * step).clamp_min(first)
    cuts[0] = first
    return half_wave_error(k * step, cuts, start)


def test_half_wave_levels_of_hwgq() -> None:
    assert lloyd_levels(1) == pytest.approx([0.7979], abs=1e-4)
    assert lloyd_levels(2) == pytest.approx([0.4528, 1.5104], abs=1e-4)
    assert lloyd_levels(3) == pytest.approx([0.3177, 1.0001, 1.8936], abs=1e-4)
    seven = [0.1457, 0.4413, 0.7504, 1.0856, 1.4675, 1.9386, 2.6251]
    assert lloyd_levels(7) == pytest.approx(seven, abs=1e-4)
    fifteen = lloyd_levels(15)
    assert (fifteen[0], fifteen[-1]) == pytest.approx((0.0702, 3.2136), abs=1e-4)
    assert optimal_step(1, 3, first_cut=0.0) == pytest.approx(0.5388, abs=1e-4)


@pytest.mark.parametrize(
    ("count", "error"), [(1, 0.18169), (2, 0.05874), (3, 0.02899), (7, 0.00612), (15, 0.00142)]
)
def test_half_wave_errors_of_hwgq(count: int, error: float) -> None:
    levels = torch.tensor([0.0, *lloyd_levels(count)], dtype=torch.float64)
    cuts = (levels[1:] + levels[:-1]) / 2
    cuts[0] = 0
    assert half_wave_error(levels, cuts) == pytest.approx(error, abs=1e-5)


@pytest.mark.parametrize(
    ("eps", "step", "error"),
    [
        (0.0, 0.5388, 0.04322),
        (0.16, 0.5915, 0.02893),
        (0.32, 0.6488, 0.02344),
        (0.49, 0.7141, 0.02886),
        (0.68, 0.7889, 0.04819),
    ],
)
def test_sparse_steps_of_tsq(eps: float, step: float, error: float) -> None:
    ours = optimal_step(1, 3, first_cut=eps)
    assert ours == pytest.approx(step, abs=1e-4)
    # The published error is at the exact eps of theta, the step at the rounded one.
    assert uniform_error(ours, 3, eps) == pytest.approx(error, rel=0.02)


@pytest.mark.parametrize(
    ("bits", "rise", "tread"),
    [(1, 1.5958, None), (2, 0.9957, 1.2240), (3, 0.5860, 0.6508), (4, 0.3352, 0.3534)],
)
def test_gaussian_steps(bits: int, rise: float, tread: float | None) -> None:
    assert mid_rise_step(bits) == pytest.approx(rise, abs=1e-4)
    if tread is not None:
        assert optimal_step(1, 2 ** (bits - 1) - 1) == pytest.approx(tread, abs=1e-4)


@pytest.mark.parametrize(("count", "first"), [(1, 0.0), (3, 0.0), (3, 0.5), (7, 0.7), (15, 0.0)])
def test_no_other_step_is_better(count: int, first: float) -> None:
    best = optimal_step(1, count, first_cut=first)
    least = uniform_error(best, count, first, start=first)
    others = [
        uniform_error(best * factor, count, first, start=first)
        for factor in (0.5, 0.8, 0.95, 0.99, 1.01, 1.05, 1.2, 2.0)
    ]
    assert least <= min(others) + 1e-9


def test_standard_deviation_of_a_half_wave() -> None:
    x = 3 * torch.randn(200_000)
    assert standard_deviation(x, signed=True).item() == pytest.approx(3, rel=0.01)
    assert standard_deviation(x.relu(), signed=False).item() == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("theta", [0.5, 0.625, 0.9, 0.925, 0.95])
def test_no_step_has_a_smaller_error_however_sparse_the_codes_are(bits: int, theta: float) -> None:
    count = 2**bits - 1
    eps = torch.special.ndtri(torch.tensor(theta, dtype=torch.float64)).item()
    found = uniform_error(optimal_step(1, count, first_cut=eps), count, eps, start=eps)
    highest = eps + 4
    for step in torch.linspace(highest / 60, highest, 60).tolist():
        assert found <= uniform_error(step, count, eps, start=eps) + 1e-7, step
