"""Q formats: powers of two from the standard deviation, two's complement ranges, SQNR."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.errors import UserError
from dyadic.quantizers import FixedPoint
from dyadic.quantizers.fixed_point import fractional_bits
from dyadic.quantizers.gaussian import mid_rise_step


@given(xi=st.floats(2.0**-40, 2.0**20))
def test_the_step_is_rounded_up_to_a_power_of_two(xi: float) -> None:
    n = fractional_bits(torch.tensor(xi, dtype=torch.float64), 0.335).item()
    step = xi * 0.335
    assert 2.0 ** (-n - 1) < step <= 2.0**-n


@pytest.mark.parametrize(("signed", "lo", "hi"), [(True, -8, 7), (False, 0, 15)])
def test_codes_are_twos_complement(signed: bool, lo: int, hi: int) -> None:
    book = FixedPoint(4, signed).codebook(torch.randn(100))
    assert (book.integers.min(), book.integers.max()) == (lo, hi)
    assert math.frexp(book.scale.item())[0] == 0.5


def test_xi_is_averaged_over_batches() -> None:
    quantizer = FixedPoint(8, momentum=0.5)
    for sigma in (1.0, 7.0):
        quantizer.observe(torch.tensor([sigma, -sigma]))
    n = -math.ceil(math.log2(4.0 * mid_rise_step(8)))
    assert quantizer.codebook().scale.item() == 2.0**-n


def test_signal_to_noise_grows_with_the_bits() -> None:
    w = torch.randn(100_000)
    noise = [(FixedPoint(b)(w) - w).square().mean().item() for b in (3, 4, 5, 6, 7, 8)]
    decibels = [-10 * math.log10(n) for n in noise]
    assert all(b > a for a, b in itertools.pairwise(decibels))
    assert (decibels[-1] - decibels[0]) / 5 == pytest.approx(5.2, abs=0.8)


def test_a_dynamic_format_follows_every_tensor() -> None:
    quantizer = FixedPoint(8, dynamic=True)
    quantizer.observe(torch.randn(100))
    small, large = (quantizer.codebook(torch.randn(100) * s).scale for s in (0.01, 10.0))
    assert small < large


@pytest.mark.parametrize("options", [{"bits": 1}, {"bits": 0, "signed": False}, {"bits": 17}])
def test_wrong_options(options: dict) -> None:
    with pytest.raises(UserError):
        FixedPoint(**options)
