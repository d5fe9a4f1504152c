"""HWGQ, its rounded form and TSQ's sparse quantizer: dead zones, levels, ranges."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.errors import UserError
from dyadic.quantizers import HalfWave, RoundedHalfWave, SparseHalfWave

positive = st.floats(2.0**-100, 10, width=32)


@given(x=positive, bits=st.integers(1, 4), uniform=st.booleans())
def test_hwgq_has_no_dead_zone(x: float, bits: int, uniform: bool) -> None:
    book = HalfWave(bits, uniform=uniform, sigma="unit").codebook()
    codes = book.quantize(torch.tensor([x, 0.0, -x]))
    assert codes[0] >= 1
    assert codes[1:].tolist() == [0, 0]


@pytest.mark.parametrize("uniform", [True, False])
def test_interior_boundaries_are_midpoints_that_belong_below(uniform: bool) -> None:
    book = HalfWave(2, uniform=uniform, sigma="unit").codebook()
    values = book.levels * book.scale
    middles = (values[2:] + values[1:-1]) / 2
    assert book.quantize(middles).tolist() == [1, 2]
    assert book.quantize(middles + 1e-9).tolist() == [2, 3]


def test_non_uniform_levels_are_lloyds_on_the_fine_grid() -> None:
    book = HalfWave(2, uniform=False, sigma="unit").codebook()
    assert (book.levels * book.scale).tolist() == [0, 325 / 1024, 1024 / 1024, 1939 / 1024]


def test_two_positive_levels_as_in_the_ablation() -> None:
    book = HalfWave(2, uniform=False, count=2, sigma="unit").codebook()
    expected = [0, 0.4528, 1.5104]
    assert (book.levels * book.scale).tolist() == pytest.approx(expected, abs=2**-11)


def sparsity(quantizer: HalfWave | RoundedHalfWave | SparseHalfWave) -> float:
    return (quantizer(torch.randn(200_000)) == 0).float().mean().item()


def test_share_of_zeros() -> None:
    assert sparsity(HalfWave(2, sigma="unit")) == pytest.approx(0.5, abs=0.01)
    assert sparsity(RoundedHalfWave(2, sigma="unit")) == pytest.approx(0.606, abs=0.01)
    for theta in (0.5625, 0.625, 0.75):
        quantizer = SparseHalfWave(2, theta=theta, sigma="unit")
        assert sparsity(quantizer) == pytest.approx(theta, abs=0.01)


def test_half_sparsity_is_hwgq() -> None:
    sparse, dense = SparseHalfWave(2, theta=0.5), HalfWave(2)
    assert sparse.grid.unit == dense.grid.unit
    assert torch.equal(sparse.grid.cuts, dense.grid.cuts)


@pytest.mark.parametrize(("bits", "theta", "lost"), [(2, 0.75, 0), (4, 0.625, 1), (4, 0.75, 3)])
def test_levels_within_the_dead_zone_are_left_out(bits: int, theta: float, lost: int) -> None:
    quantizer = SparseHalfWave(bits, theta=theta, sigma="unit")
    book = quantizer.codebook()
    used = book.quantize(torch.linspace(0, 9, 10_001)).unique()
    assert len(book.levels) == 2**bits - lost
    assert used.tolist() == list(range(2**bits - lost))


def test_sigma_stretches_the_levels() -> None:
    quantizer = HalfWave(2)
    x = 3 * torch.randn(100_000)
    quantizer.observe(x)
    assert quantizer.codebook().scale.item() == pytest.approx(3 * 0.5388, rel=0.02)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (HalfWave, {"bits": 5, "uniform": False}),
        (HalfWave, {"bits": 2, "signed": True}),
        (HalfWave, {"bits": 2, "count": 4}),
        (HalfWave, {"bits": 2, "sigma": "two"}),
        (SparseHalfWave, {"bits": 2, "theta": 0.4}),
        (SparseHalfWave, {"bits": 2, "theta": 1.0}),
        (RoundedHalfWave, {"bits": 0}),
    ],
)
def test_wrong_options(kind: type, options: dict) -> None:
    with pytest.raises(UserError):
        kind(**options)


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("kind", [HalfWave, RoundedHalfWave, SparseHalfWave])
def test_sigma_is_that_of_the_positive_half(kind: type[HalfWave], observed: bool) -> None:
    quantizer, x = kind(3), torch.tensor([-9.0, 0.0, 1.0, 2.0])
    if observed:
        quantizer.observe(x)
    sigma = (2 * (1 + 4) / 4) ** 0.5
    book = quantizer.codebook(None if observed else x)
    assert book.scale.item() == pytest.approx(sigma * quantizer.grid.unit)
    assert book.levels[-1].item() == 7


def test_zeros_are_measured_in_units() -> None:
    assert HalfWave(2).codebook(torch.zeros(3)).scale == HalfWave(2, sigma="unit").codebook().scale


def test_what_has_seen_nothing_says_so() -> None:
    with pytest.raises(UserError, match="HalfWave has seen no tensor yet"):
        HalfWave(2).codebook()
