"""LogQuant: level sets, geometric and floor boundaries, sign, range, integers of both bases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.quantizers.cases import tensors
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers import Codebook, Logarithmic
from dyadic.quantizers.logarithmic import FLOAT_EDGE

BASES = {2: 2.0, "sqrt2": math.sqrt(2)}
magnitudes = st.floats(2.0**-30, 2.0**10, width=32)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("bits", range(1, 9))
def test_positive_levels_are_consecutive_powers(base: int | str, bits: int) -> None:
    book = Logarithmic(bits, signed=False, base=base).codebook(torch.tensor([1.0]))
    values = book.levels * book.scale.double()
    assert values[0] == 0
    powers = values[1:].log2() / math.log2(BASES[base])
    assert torch.allclose(powers.diff(), torch.ones(len(powers) - 1).double())
    assert powers[-1].item() == pytest.approx(0, abs=1e-6)
    octaves = 31 if base == 2 else 61
    assert len(values) == 1 + min(2**bits - 1, octaves)


@pytest.mark.parametrize("base", BASES)
def test_a_sign_inside_halves_the_exponents(base: int | str) -> None:
    w = torch.tensor([1.0])
    inside, extra = (Logarithmic(4, base=base, sign=s).codebook(w) for s in ("inside", "extra"))
    assert (len(inside.levels), inside.bits) == (15, 4)
    assert (len(extra.levels), extra.bits) == (31, 5)


@pytest.mark.parametrize("base", BASES)
@given(x=magnitudes, top=magnitudes)
def test_nearest_is_geometric(base: int | str, x: float, top: float) -> None:
    quantizer = Logarithmic(4, signed=False, base=base)
    book = quantizer.codebook(torch.tensor([top]))
    k, edge = math.log(x, BASES[base]), round(math.log(top, BASES[base]))
    if abs(k - math.floor(k) - 0.5) < 1e-5 or abs(math.log(top, BASES[base]) % 1 - 0.5) < 1e-5:
        return
    k = min(round(k), edge)
    expected = 0.0 if k < edge - 14 else BASES[base] ** k
    assert book(torch.tensor([x])).item() == pytest.approx(expected, rel=1e-6)


@given(x=magnitudes)
def test_floor_is_the_leading_one(x: float) -> None:
    book = Logarithmic(5, signed=False, rounding="floor").codebook(torch.tensor([2.0**10]))
    exponent = math.frexp(x / FLOAT_EDGE)[1] - 1
    expected = 0.0 if exponent < 10 - 30 else 2.0**exponent
    assert book(torch.tensor([x])).item() == expected


@pytest.mark.parametrize("base", BASES)
def test_integers_are_exact_and_below_32_bits(base: int | str) -> None:
    book = Logarithmic(8, base=base).codebook(torch.tensor([1.0]))
    rows = torch.atleast_2d(book.integers)
    assert len(rows) == (1 if base == 2 else 2)
    assert rows.abs().max() == 2**30
    powers = rows[:, rows.shape[1] // 2 + 1 :].abs().sum(dim=0)
    assert all(n & (n - 1) == 0 for n in powers.tolist())


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@pytest.mark.parametrize("signed", [True, False])
@given(x=tensors, bits=st.integers(2, 8), exponent=st.integers(-20, 20))
def test_reading_the_exponent_is_the_search(
    base: int | str, rounding: str, signed: bool, x: Tensor, bits: int, exponent: int
) -> None:
    book = Logarithmic(bits, signed, base=base, rounding=rounding).codebook(x.abs())
    edges = torch.cat([book.reach[1].reshape(1), book.cuts * book.scale]).float()
    near = [edges, *(torch.nextafter(edges, torch.full_like(edges, end)) for end in (-99, 99))]
    for values in (torch.ldexp(x, torch.tensor(exponent)), *near):
        for v in (values, values.bfloat16(), values.half()):
            assert torch.equal(book(v), Codebook.__call__(book, v))


def test_the_range_of_the_largest_value_and_its_offset() -> None:
    x = torch.tensor([0.1, 5.0])
    tops = [Logarithmic(3, offset=o).codebook(x)(torch.tensor([99.0])).item() for o in (0, 1, -1)]
    assert tops == [4.0, 8.0, 2.0]


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("rounding", ["nearest", "floor"])
@given(seed=st.integers(0, 500))
def test_a_searched_range_is_the_best_of_all(base: int | str, rounding: str, seed: int) -> None:
    w = torch.randn(300, generator=torch.Generator().manual_seed(seed))

    def error(fsr: str, offset: int = 0) -> float:
        quantizer = Logarithmic(3, base=base, rounding=rounding, fsr=fsr, offset=offset)
        return (quantizer(w) - w).square().mean().item()

    octaves = 4 * (1 if base == 2 else 2)
    assert error("mse") <= min(error("max", -k) for k in range(octaves + 1)) * (1 + 1e-6)


def test_a_static_range_is_averaged_in_octaves() -> None:
    quantizer = Logarithmic(4, signed=False, momentum=0.5)
    for top in (2.0, 32.0):
        quantizer.observe(torch.tensor([top]))
    assert quantizer(torch.tensor([100.0])).item() == 2.0**3


def test_sqrt_2_is_finer_than_2_at_five_bits() -> None:
    w = torch.randn(20_000)
    errors = [(Logarithmic(5, base=base)(w) - w).square().mean() for base in ("sqrt2", 2)]
    assert 10 * math.log10(errors[1] / errors[0]) > 5  # the paper's repair, about 6 dB


@pytest.mark.parametrize(
    "options",
    [
        {"bits": 1},
        {"bits": 9},
        {"bits": 4, "base": 3},
        {"bits": 4, "sign": "none"},
        {"bits": 4, "rounding": "up"},
        {"bits": 4, "fsr": "best"},
    ],
)
def test_wrong_options(options: dict) -> None:
    with pytest.raises(UserError):
        Logarithmic(**options)


@pytest.mark.parametrize("base", BASES)
def test_the_range_by_mse_reaches_four_octaves_down_and_no_further(base: int | str) -> None:
    b, steps = BASES[base], 1 if base == 2 else 2
    lowest = b**2  # the largest of three levels of which 1 is one
    near, far = lowest * b ** (4 * steps), lowest * b ** (4 * steps + 1)
    quantizer = Logarithmic(2, signed=False, base=base, fsr="mse")
    for outlier, expected in [(near, lowest), (far, far)]:
        x = torch.cat([torch.ones(9999), torch.tensor([outlier])])
        assert quantizer(x).max().item() == pytest.approx(expected)


@pytest.mark.parametrize("base", BASES)
def test_floors_saturate_from_the_next_power_on(base: int | str) -> None:
    quantizer = Logarithmic(3, signed=False, base=base, rounding="floor")
    high = quantizer.codebook(torch.tensor([4.0])).reach[1]
    assert high.item() == pytest.approx(4 * BASES[base])
