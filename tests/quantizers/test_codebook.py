"""The codebook: cells, ties and thresholds, in exact arithmetic."""

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadic.quantizers import Codebook
from dyadic.quantizers.codebook import FEW

level_lists = st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True).map(sorted)
floats = st.floats(-100, 100, width=32)
scales = st.floats(2.0**-10, 8.0, width=32)


def cell(x: float, scale: float, levels: list[int], ties_up: bool) -> int:
    """The code of x by rational arithmetic, ties as the codebook documents them."""
    code = 0
    for a, b in itertools.pairwise(levels):
        cut = Fraction(a + b, 2) * Fraction(scale)
        up = ties_up if cut >= 0 else not ties_up
        code += Fraction(x) > cut or (up and Fraction(x) == cut)
    return code


@settings(max_examples=200)
@given(x=st.lists(floats, min_size=1), scale=scales, levels=level_lists, ties_up=st.booleans())
def test_codes_equal_rational_arithmetic(
    x: list[float], scale: float, levels: list[int], ties_up: bool
) -> None:
    expected = [cell(value, scale, levels, ties_up) for value in x]
    shared = Codebook(torch.tensor(scale), torch.tensor(levels), 8, ties_up=ties_up)
    assert shared.quantize(torch.tensor(x)).tolist() == expected
    spread = Codebook(torch.full((len(x),), scale), torch.tensor(levels), 8, ties_up=ties_up)
    codes = spread.quantize(torch.tensor(x))
    assert codes.tolist() == expected
    assert torch.equal(spread(torch.tensor(x)), spread.dequantize(codes))


@pytest.mark.parametrize("ties_up", [True, False])
def test_ties_go_away_from_zero_or_towards_it(ties_up: bool) -> None:
    book = Codebook(torch.tensor(0.1), torch.tensor([-2, -1, 0, 1, 2]), 3, ties_up=ties_up)
    ties = torch.tensor([-1.5, -0.5, 0.5, 1.5], dtype=torch.float64) * book.scale.double()
    away, towards = [0, 1, 3, 4], [1, 2, 2, 3]
    assert book.quantize(ties).tolist() == (away if ties_up else towards)


@pytest.mark.parametrize("count", [2, 3, FEW + 1, FEW + 2, 255])
def test_few_and_many_levels_are_searched_to_the_same_cells(count: int) -> None:
    book = Codebook(torch.tensor(0.25), torch.arange(count), 8)
    x = torch.randn(2, 3, 5, 5).mul_(count / 8).contiguous(memory_format=torch.channels_last)
    x[0, 0, 0], x[1, 1, 1] = torch.nan, torch.inf
    found, ratio = book.quantize(x), (x.double() / 0.25)[..., None]
    assert torch.equal(found, (count - 1) - (ratio < book.cuts).sum(-1))
    assert torch.equal(book(x), found * 0.25)
    assert found.dtype == torch.int64
    assert book(x).stride() == x.stride()


def test_a_sum_with_sqrt_2_is_a_level() -> None:
    book = Codebook(torch.tensor(1.0), torch.tensor([[0, 1, 0, 2], [0, 0, 1, 0]]), 2)
    assert book.levels.tolist() == [0, 1, 2**0.5, 2]
    assert book(torch.tensor([1.3])).item() == pytest.approx(2**0.5)


def test_saturations_are_counted_beyond_the_margin() -> None:
    book = Codebook(torch.tensor(2.0), torch.tensor([-1, 0, 1]), 2, margin=0.5)
    assert book.saturations(torch.tensor([-3.1, -3.0, -2.9, 0.0, 2.9, 3.0])) == 3


def test_negative_values_do_not_saturate_a_non_negative_codebook() -> None:
    book = Codebook(torch.tensor(1.0), torch.tensor([0, 1, 2]), 2)
    assert book.saturations(torch.tensor([-5.0, 1.0, 2.5])) == 1
