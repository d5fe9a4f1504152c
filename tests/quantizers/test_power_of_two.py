"""INQ's set P_l against the paper's equations, tables and the known edge cases."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadic.errors import UserError
from dyadic.quantizers import PowerOfTwo
from dyadic.quantizers.power_of_two import (
    LOWEST_BY_MSE,
    exponents,
    largest_exponent,
    say_mostly_zeros,
)


def value(x: float, s: float, bits: int, **options: str) -> float:
    book = PowerOfTwo(bits, **options).codebook(torch.tensor([s], dtype=torch.float64))
    return book(torch.tensor([x], dtype=torch.float64)).item()


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.9, 1.0),
        (1.49, 1.0),
        (1.51, 1.0),  # Eq. 4 read literally gives 0; it saturates
        (0.74, 0.5),
        (0.75, 1.0),
        (2**-8, 2**-7),
        (2**-8 * 0.999, 0.0),
        (-0.75, -1.0),
        (-(2**-8), -(2**-7)),
    ],
)
def test_vectors_at_5_bits(x: float, expected: float) -> None:
    assert value(x, 0.9, 5) == expected


@pytest.mark.parametrize(("s", "n1"), [(0.9, 0), (1.5, 1), (1.4999, 0), (0.5, -1), (0.0, 0)])
def test_n1(s: float, n1: int) -> None:
    assert largest_exponent(torch.tensor(s)).item() == n1


@given(k=st.integers(-40, 39))
def test_n1_at_the_cell_boundary_in_floating_point(k: int) -> None:
    s = torch.tensor(math.ldexp(1.5, k))
    below = torch.nextafter(s, torch.tensor(0.0))
    assert largest_exponent(s).item() == k + 1
    assert largest_exponent(below).item() == k


@given(s=st.floats(2.0**-60, 2.0**60))
def test_n1_is_the_papers_formula(s: float) -> None:
    n1 = largest_exponent(torch.tensor(s, dtype=torch.float64)).item()
    assert 0.75 * 2.0**n1 <= s < 1.5 * 2.0**n1


@pytest.mark.parametrize(
    ("bits", "count", "values", "span"),
    [(2, 1, 3, 0), (3, 2, 5, 1), (4, 4, 9, 3), (5, 8, 17, 7), (6, 16, 33, 15)],
)
def test_the_table_of_exponents(bits: int, count: int, values: int, span: int) -> None:
    book = PowerOfTwo(bits).codebook(torch.tensor([0.9]))
    levels = book.levels * book.scale.double()
    positive = levels[levels > 0].log2()
    assert exponents(bits) == count
    assert len(levels) == values
    assert (positive.max().item(), positive.max().item() - positive.min().item()) == (0, span)


@pytest.mark.parametrize("bits", [7, 8])
def test_wide_sets_stop_at_31_exponents(bits: int) -> None:
    book = PowerOfTwo(bits).codebook(torch.tensor([0.9, 1e-9]))
    assert book.integers.abs().max() == 2**30
    assert book.dequantize(torch.tensor(len(book.levels) - 1)).item() == 1.0
    assert len(book.levels) <= 2**bits


def test_the_smallest_level_is_the_smallest_float() -> None:
    smallest = 2.0**-149
    book = PowerOfTwo(5).codebook(torch.tensor([smallest]))
    assert (book.levels * book.scale.double()).tolist()[9:] == [smallest * 2**k for k in range(8)]


def test_ternary_set() -> None:
    assert value(0.25, 0.5, 2) == 0.5
    assert value(0.2499, 0.5, 2) == 0.0


def test_the_zero_cut_of_the_text() -> None:
    assert value(2**-7 * 0.999, 0.9, 5, zero_cut="full") == 0.0
    assert value(2**-7, 0.9, 5, zero_cut="full") == 2**-7
    assert value(1.5 * 2**-7, 0.9, 5, zero_cut="full") == 2**-6


@given(s=st.floats(0.01, 10.0), bits=st.integers(2, 6), x=st.floats(0, 10))
def test_eq_4_and_saturation(s: float, bits: int, x: float) -> None:
    n1 = math.floor(math.log2(4 * s / 3))
    powers = [0.0, *(2.0**k for k in range(n1 + 1 - 2 ** (bits - 2), n1 + 1))]
    expected = 0.0 if x < powers[1] / 2 else powers[-1]
    for alpha, beta in itertools.pairwise(powers):
        if (alpha + beta) / 2 <= x < 3 * beta / 2:
            expected = beta
    assert value(x, s, bits) == expected


def test_grown_weights_are_counted() -> None:
    book = PowerOfTwo(5).codebook(torch.tensor([0.9]))
    assert book.saturations(torch.tensor([1.5, 1.49, -1.6, 0.0])) == 2


@given(seed=st.integers(0, 1000), bits=st.integers(2, 5))
@settings(max_examples=30)
def test_n1_by_mse_is_at_most_the_papers_and_never_worse(seed: int, bits: int) -> None:
    w = torch.randn(2, 200, generator=torch.Generator().manual_seed(seed))
    paper, best = (
        PowerOfTwo(bits, n1=n1, granularity="per_channel").codebook(w) for n1 in ("paper", "mse")
    )
    assert (best.scale <= paper.scale).all()
    errors = [(book(w) - w).square().sum(dim=1) for book in (best, paper)]
    assert (errors[0] <= errors[1]).all()


def test_few_bits_lose_nearly_everything_with_the_papers_n1() -> None:
    w = torch.randn(20_000)
    zeros = {n1: (PowerOfTwo(2, n1=n1)(w) == 0).float().mean() for n1 in ("paper", "mse")}
    assert zeros["paper"] > 0.9
    assert zeros["mse"] < 0.7


@pytest.mark.parametrize(
    "options", [{"bits": 1}, {"bits": 9}, {"bits": 5, "n1": "best"}, {"bits": 5, "signed": False}]
)
def test_wrong_options(options: dict) -> None:
    with pytest.raises(UserError):
        PowerOfTwo(**options)


@pytest.mark.parametrize("bits", [2, 3])
def test_few_bits_name_the_other_n1_once_and_mse_says_nothing(
    bits: int, caplog: pytest.LogCaptureFixture
) -> None:
    say_mostly_zeros.cache_clear()
    PowerOfTwo(bits, n1="mse")
    PowerOfTwo(5)
    assert not caplog.records
    for _ in range(3):
        PowerOfTwo(bits)
    (record,) = caplog.records
    assert "zeros of most weights" in record.getMessage()
    assert "n1=mse keeps them" in record.getMessage()
    w = torch.randn(5000, generator=torch.Generator().manual_seed(0))
    w[0] = 6.0  # one large weight sets the paper's n1
    books = [PowerOfTwo(bits, n1=n1).codebook(w) for n1 in ("paper", "mse")]
    paper, mse = [(book(w) == 0).float().mean() for book in books]
    assert paper > 0.5
    assert mse < paper - 0.2


def test_n1_by_mse_goes_as_far_down_as_it_says_and_no_further() -> None:
    for octaves, expected in [(LOWEST_BY_MSE, 0), (LOWEST_BY_MSE + 1, LOWEST_BY_MSE + 1)]:
        w = torch.cat([torch.ones(10**6), torch.tensor([2.0**octaves])])
        assert PowerOfTwo(2, n1="mse")(w).max().log2().item() == expected
