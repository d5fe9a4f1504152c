"""Uniform quantization: the survey's formulas, ATen's codes, ranges and granularity."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.quantizers.cases import tensors
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers import Codebook, Uniform, UniformCodebook

bits = st.integers(2, 8)


@given(x=tensors, bits=bits)
def test_scales_are_the_surveys(x: Tensor, bits: int) -> None:
    s = x.abs().max()
    if s == 0:
        return
    restricted, full = Uniform(bits).codebook(x), Uniform(bits, narrow=False).codebook(x)
    torch.testing.assert_close(restricted.scale, s / (2 ** (bits - 1) - 1))
    torch.testing.assert_close(full.scale, 2 * s / (2**bits - 1))
    assert [len(restricted.levels), len(full.levels)] == [2**bits - 1, 2**bits]
    unsigned = Uniform(bits, signed=False).codebook(x.abs())
    torch.testing.assert_close(unsigned.scale, s / (2**bits - 1))


@given(x=tensors, bits=bits, signed=st.booleans())
def test_codes_are_atens_bit_for_bit(x: Tensor, bits: int, signed: bool) -> None:
    book = Uniform(bits, signed).codebook(x)
    assert isinstance(book, UniformCodebook)
    zero = torch.tensor(0, dtype=torch.int32)
    theirs = torch.fake_quantize_per_tensor_affine(x, book.scale, zero, book.lo, book.hi)
    assert torch.equal(book(x), theirs)
    assert torch.equal(book.dequantize(book.quantize(x)), theirs)


def test_codes_per_channel_are_atens_bit_for_bit() -> None:
    w = torch.randn(16, 8, 3, 3)
    book = Uniform(8, granularity="per_channel").codebook(w)
    zero = torch.zeros(16, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(w, book.scale.flatten(), zero, 0, -127, 127)
    assert torch.equal(book(w), theirs)


@given(x=tensors, bits=bits)
def test_codes_are_the_searched_ones_away_from_ties(x: Tensor, bits: int) -> None:
    book = Uniform(bits).codebook(x)
    ratio = x.double() / book.scale.double()
    away = ((ratio - ratio.floor()) - 0.5).abs() > 1e-4
    assert torch.equal(book.quantize(x)[away], Codebook.quantize(book, x)[away])


@given(x=tensors, bits=bits)
def test_an_asymmetric_grid_has_zero_and_covers_the_range(x: Tensor, bits: int) -> None:
    book = Uniform(bits, symmetric=False).codebook(x)
    assert 0 in book.integers
    assert len(book.levels) == 2**bits
    assert (book(x) - x).abs().max() <= book.scale * 1.001


def test_the_whole_range_of_min_max_does_not_saturate() -> None:
    x = torch.randn(1000)
    for quantizer in (Uniform(4), Uniform(4, symmetric=False)):
        assert quantizer.codebook(x).saturations(x) == 0


def test_a_static_range_is_a_moving_average_of_the_batches() -> None:
    quantizer = Uniform(8, signed=False, momentum=0.9)
    for top in (4.0, 8.0, 2.0):
        quantizer.observe(torch.tensor([0.0, top]))
    expected = (4.0 * 0.9 + 8.0 * 0.1) * 0.9 + 2.0 * 0.1
    assert quantizer.codebook().scale.item() * 255 == pytest.approx(expected)


def test_extremes_keep_the_largest_range() -> None:
    quantizer = Uniform(8, symmetric=False, momentum=None)
    for x in ([-1.0, 2.0], [-3.0, 1.0]):
        quantizer.observe(torch.tensor(x))
    assert torch.stack(quantizer.range.ends).tolist() == [-3.0, 2.0]


def test_a_dynamic_range_follows_every_tensor() -> None:
    quantizer = Uniform(8, signed=False, dynamic=True)
    quantizer.observe(torch.tensor([100.0]))
    assert quantizer(torch.tensor([1.0])).item() == 1.0
    with pytest.raises(UserError, match="dynamic=False"):
        quantizer.codebook()


def test_an_unsigned_quantizer_is_a_relu() -> None:
    x = torch.randn(100)
    quantizer = Uniform(8, signed=False)
    assert torch.equal(quantizer(x), quantizer(x.relu()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bits": 0}, "bits=0"),
        ({"bits": 1}, "bits=1"),
        ({"bits": 17}, "2 to 16"),
        ({"bits": "abc"}, "bits=abc"),
        ({"bits": True}, "bits=True"),
        ({"bits": 8, "granularity": "per_row"}, "per_row"),
        ({"bits": 8, "granularity": "per_group"}, "size"),
        ({"bits": 8, "granularity": "per_channel", "group_size": 4}, "no size"),
        ({"bits": 8, "granularity": "per_channel", "symmetric": False}, "per_tensor"),
    ],
)
def test_wrong_options_are_one_line(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        Uniform(**options)
    assert "\n" not in str(error.value)


def test_a_static_range_per_channel_is_refused() -> None:
    with pytest.raises(UserError, match="per tensor"):
        Uniform(8, granularity="per_channel").observe(torch.randn(4, 4))
