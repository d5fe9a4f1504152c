"""Range estimators against brute force and against each other."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dyadic.quantizers import Uniform
from dyadic.quantizers.calibration import (
    Calibration,
    RangeCodebook,
    entropy,
    minmax,
    mse,
    percentile,
)

ESTIMATORS = [minmax, percentile, mse, entropy]


def grid(bits: int, signed: bool = False) -> RangeCodebook:
    """The levels that a uniform quantizer gives to ranges."""
    return Uniform(bits, signed)._grid


@pytest.mark.parametrize("estimate", ESTIMATORS)
@pytest.mark.parametrize("signed", [True, False])
def test_ranges_hold_zero_and_lie_within_min_max(estimate: Calibration, signed: bool) -> None:
    rows = torch.randn(3, 2000)
    low, high = estimate(rows, 4, signed, grid(4, signed))
    widest = minmax(rows, 4, signed)
    assert (low <= 0).all()
    assert (high > 0).all()
    assert (low >= widest[0]).all()
    assert (high <= widest[1]).all()
    assert signed or (low == 0).all()


@pytest.mark.parametrize("estimate", ESTIMATORS)
def test_a_row_of_zeros_has_the_range_zero(estimate: Calibration) -> None:
    low, high = estimate(torch.zeros(2, 50), 4, False, grid(4))
    assert low.tolist() == high.tolist() == [0.0, 0.0]


def error(w: Tensor, high: float, bits: int) -> float:
    quantizer = Uniform(bits, signed=False)
    quantizer.observe(torch.tensor([high]))
    return (quantizer(w) - w).square().mean().item()


def test_mse_is_the_best_fraction_of_min_max() -> None:
    w = torch.randn(5000).abs()
    _, high = mse(w[None], 3, False, grid(3))
    best = min(error(w, w.max().item() * k / 80, 3) for k in range(1, 81))
    assert error(w, high.item(), 3) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("narrow", [True, False])
def test_mse_searches_the_very_grid_that_the_quantizer_uses(narrow: bool) -> None:
    w = torch.randn(5000)
    found = Uniform(3, narrow=narrow, calibration=mse)
    highs = [w.abs().max() * k / 80 for k in range(1, 81)]
    errors = [(found._grid(-h, h)(w.abs()) - w.abs()).square().mean().item() for h in highs]
    assert (found(w.abs()) - w.abs()).square().mean().item() == pytest.approx(min(errors))


def test_percentile_is_the_ith_largest_value() -> None:
    rows = torch.arange(1.0, 1001.0)[torch.randperm(1000)][None]
    assert percentile(rows, 8, False, share=99.5)[1].item() == 995.0
    assert percentile(rows - 500.5, 8, True, share=99.0)[0].item() == -489.5


def test_entropy_and_mse_cut_an_outlier_off() -> None:
    rows = torch.cat([torch.randn(20_000).abs(), torch.tensor([40.0])])[None]
    for estimate in (entropy, mse):
        assert 1.0 < estimate(rows, 4, False, grid(4))[1].item() < 20.0


def test_entropy_keeps_a_uniform_distribution_whole() -> None:
    rows = torch.linspace(0, 1, 100_001)[None]
    assert entropy(rows, 8, False)[1].item() == 1.0


def divergence(counts: list[float], width: int, cells: int) -> float:
    """KL(P || Q), bin by bin."""
    p = counts[:width]
    p[-1] += sum(counts[width:])
    q = [0.0] * width
    for cell in range(cells):
        inside = [j for j in range(width) if j * cells // width == cell]
        filled = [j for j in inside if counts[j] > 0]
        for j in filled:
            q[j] = sum(counts[i] for i in inside) / len(filled)
    q = [max(value / sum(q), 1e-10) for value in q]
    p = [value / sum(p) for value in p]
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_entropy_is_the_least_divergence_bin_by_bin(bits: int, spread: float, signed: bool) -> None:
    bins, x = 128, torch.randn(4000).mul_(spread).clamp(-1, 1)
    x[:500], x[-1] = 0.0, 1.0  # a power of two: bins are exact
    magnitudes = x.abs() if signed else x.clamp_min(0)
    counts = [*np.histogram(magnitudes[magnitudes > 0].numpy(), bins, (0, 1))[0].astype(float)]
    cells = 2 ** (bits - signed)
    best = min(range(cells, bins + 1), key=lambda width: divergence(counts, width, cells))
    low, high = entropy(x[None], bits, signed, bins=bins)
    assert high.item() == best / bins
    assert low.item() == (max(-best / bins, x.min().item()) if signed else 0)


def test_mse_takes_the_same_share_of_both_ends() -> None:
    w = torch.cat([torch.randn(2000).clamp(-2, 2), torch.tensor([6.0, -3.0])])
    low, high = mse(w[None], 3, True, grid(3, signed=True))
    ends = [(torch.tensor(-3 * k / 80), torch.tensor(6 * k / 80)) for k in range(1, 81)]
    errors = [(grid(3, signed=True)(*pair)(w) - w).square().mean().item() for pair in ends]
    best = ends[errors.index(min(errors))]
    assert (low.item(), high.item()) == pytest.approx((best[0].item(), best[1].item()))
