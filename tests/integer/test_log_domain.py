"""The errors of log-domain accumulation are those of a Mitchell adder, and only with the floor."""

from math import log

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dyadic.integer.log_domain import approximate_dot, approximate_log_sum, mitchell_antilog

ZERO = -torch.inf


def gaussian_products(count: int, sums: int = 200) -> Tensor:
    """Exponents of log-quantized Gaussian weights and rectified activations, 3 bits each."""
    generator = torch.Generator().manual_seed(count)
    w, x = torch.randn(2, sums, count, generator=generator, dtype=torch.float64).abs()
    return w.log2().round().clamp(-7, 0) + x.log2().round().clamp(-7, 0)


def octaves(s: Tensor, products: Tensor) -> Tensor:
    """Error of s in octaves: log2 of the ratio to the true sum."""
    return s - torch.exp2(products).sum(-1).log2()


@pytest.mark.parametrize("count", [576, 4608])
def test_with_the_floor_long_sums_are_hardly_biased(count: int) -> None:
    products = gaussian_products(count)
    error = octaves(approximate_log_sum(products), products)
    assert abs(error.mean()) < 0.05
    assert error.std() < 0.03


@pytest.mark.parametrize("count", [576, 4608])
def test_without_the_floor_they_shrink_towards_ln_2(count: int) -> None:
    products = gaussian_products(count)
    ratio = torch.exp2(octaves(approximate_log_sum(products, floor=False), products)).mean()
    assert ratio == pytest.approx(log(2), rel=0.04 if count == 576 else 0.01)


def test_the_mitchell_antilog_is_unbiased_for_long_sums() -> None:
    products = gaussian_products(4608)
    read = mitchell_antilog(approximate_log_sum(products)).log2()
    assert abs(octaves(read, products).mean()) < 0.01


def test_short_sums_are_noisier() -> None:
    short, long = (
        octaves(approximate_log_sum(p), p).std() for p in map(gaussian_products, (9, 576))
    )
    assert short > 5 * long


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(-30, 30))
def test_exact_until_an_octave_is_crossed(exponents: set[int], shift: int) -> None:
    """Falling powers of two never carry: Mitchell's format holds their sum as it is."""
    products = torch.tensor([float(e + shift) for e in sorted(exponents, reverse=True)])
    total = torch.exp2(products.double()).sum()
    assert mitchell_antilog(approximate_log_sum(products)) == total


def test_it_is_an_approximation() -> None:
    """3 ones: s = 0, 1, 1.5, which both antilogs read as something else or by luck as 3."""
    products = torch.tensor([0.0, 0.0, 0.0])
    s = approximate_log_sum(products)
    assert s == 1.5
    assert torch.exp2(s) != 3
    assert mitchell_antilog(approximate_log_sum(torch.tensor([0.0, 1.0, 2.0]))) != 7


def test_zero_products_change_nothing() -> None:
    products = torch.tensor([[ZERO, 3.0, ZERO, 3.0], [ZERO, ZERO, ZERO, ZERO]])
    assert approximate_log_sum(products).tolist() == [4.0, ZERO]
    assert approximate_log_sum(products[:, :0]).tolist() == [ZERO, ZERO]


def test_signs_are_summed_apart() -> None:
    signs = torch.tensor([1, -1, 1, 0, -1])
    products = torch.tensor([4.0, 2.0, 3.0, 9.0, ZERO])
    assert approximate_dot(signs, products) == 16 + 8 - 4
    assert approximate_dot(-signs, products) == -(16 + 8 - 4)
    by_exp2 = approximate_dot(signs, products, antilog=torch.exp2)
    assert by_exp2 == pytest.approx(2**4.5 - 4)
