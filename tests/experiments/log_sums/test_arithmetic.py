"""The errors of log-domain accumulation are those of a Mitchell adder, and only with the floor."""

from math import log

import pytest
import torch
from experiments.log_sums.arithmetic import (
    NOTHING,
    approximate_log_sum,
    approximate_product,
    mitchell_antilog,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dyadic.errors import UserError


def log_sum(products: Tensor, floor: bool = True) -> Tensor:
    """Over the last axis."""
    return approximate_log_sum(products.double().unbind(-1), floor)


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
    error = octaves(log_sum(products), products)
    assert abs(error.mean()) < 0.05
    assert error.std() < 0.03


@pytest.mark.parametrize("count", [576, 4608])
def test_without_the_floor_they_shrink_towards_ln_2(count: int) -> None:
    products = gaussian_products(count)
    ratio = torch.exp2(octaves(log_sum(products, floor=False), products)).mean()
    assert ratio == pytest.approx(log(2), rel=0.04 if count == 576 else 0.01)


def test_the_mitchell_antilog_is_unbiased_for_long_sums() -> None:
    products = gaussian_products(4608)
    read = mitchell_antilog(log_sum(products)).log2()
    assert abs(octaves(read, products).mean()) < 0.01


def test_short_sums_are_noisier() -> None:
    short, long = (octaves(log_sum(p), p).std() for p in map(gaussian_products, (9, 576)))
    assert short > 5 * long


@given(st.sets(st.integers(0, 20), min_size=1), st.integers(-30, 30))
def test_exact_until_an_octave_is_crossed(exponents: set[int], shift: int) -> None:
    """Falling powers of two never carry: Mitchell's format holds their sum as it is."""
    products = torch.tensor([float(e + shift) for e in sorted(exponents, reverse=True)])
    total = torch.exp2(products.double()).sum()
    assert mitchell_antilog(log_sum(products)) == total


def test_it_is_an_approximation() -> None:
    """3 ones: s = 0, 1, 1.5, which both antilogs read as something else or by luck as 3."""
    products = torch.tensor([0.0, 0.0, 0.0])
    s = log_sum(products)
    assert s == 1.5
    assert torch.exp2(s) != 3
    assert mitchell_antilog(log_sum(torch.tensor([0.0, 1.0, 2.0]))) != 7


def test_zero_products_change_nothing() -> None:
    products = torch.tensor([[NOTHING, 3.0, 2 * NOTHING, 3.0], [NOTHING] * 4])
    s = log_sum(products)
    assert s[0] == 4.0
    assert mitchell_antilog(s).tolist() == [16.0, 0.0]


def by_the_definition(weight: Tensor, x: Tensor, floor: bool) -> Tensor:
    """Every sum alone: the products of each sign in order, antilogs subtracted."""

    def one(w: Tensor, column: Tensor) -> float:
        product = (w * column).double()
        sums = [
            mitchell_antilog(log_sum(part.log2()[part > 0], floor)) if (part > 0).any() else 0.0
            for part in (product, -product)
        ]
        return float(sums[0] - sums[1])

    rows = [[one(w, column) for column in x.T] for w in weight]
    return torch.tensor(rows, dtype=torch.float64)


def powers(generator: torch.Generator, *shape: int) -> Tensor:
    """Zero or signed powers of two."""
    sign = torch.randint(-1, 2, shape, generator=generator)
    return sign * 2.0 ** torch.randint(-6, 7, shape, generator=generator)


@given(
    st.integers(0, 1000), st.integers(1, 4), st.integers(1, 12), st.integers(1, 5), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_a_product_of_matrices_is_the_definition(seed, outputs, depth, columns, signed, floor):
    generator = torch.Generator().manual_seed(seed)
    weight, x = powers(generator, outputs, depth), powers(generator, depth, columns)
    x = x if signed else x.abs()
    expected = by_the_definition(weight, x, floor)
    found = approximate_product(weight, x, floor)
    if floor:  # then s is dyadic, and exact in float64
        assert torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)


def test_columns_are_cut_without_a_trace(monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)
    weight, x = powers(generator, 3, 20), powers(generator, 20, 50)
    whole = approximate_product(weight, x)
    monkeypatch.setattr("experiments.log_sums.arithmetic.SUMS_KEPT", 42)  # 7 columns
    assert torch.equal(approximate_product(weight, x), whole)


def test_signs_are_summed_apart() -> None:
    weight = torch.tensor([[1.0, -1.0, 0.5, 0.0, -4.0]])
    x = torch.tensor([[16.0], [4.0], [16.0], [2.0], [0.0]])
    assert approximate_product(weight, x).item() == 16 + 8 - 4
    assert approximate_product(-weight, x).item() == -(16 + 8 - 4)
    by_exp2 = approximate_product(weight, x, antilog=torch.exp2).item()
    assert by_exp2 == pytest.approx(2**4.5 - 4)


def test_other_values_than_powers_of_two_are_refused() -> None:
    with pytest.raises(UserError, match="powers of two"):
        approximate_product(torch.tensor([[3.0]]), torch.tensor([[1.0]]))
