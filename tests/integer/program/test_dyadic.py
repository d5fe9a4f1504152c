"""Dyadic numbers and requantization against exact rational arithmetic."""

from fractions import Fraction
from math import floor, isqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.errors import UserError
from dyadic.integer.program.dyadic import dyadic, pair, requantize, requantize_pair
from dyadic.integer.program.operations import INT32, Dyadic

CASES = 120_000


def exact(terms: list[tuple[int, int]], c: int, lo: int, hi: int) -> int:
    """The rule in rational numbers: floor(sum acc * b / 2^c + 1/2), clamped."""
    value = sum(Fraction(acc * b, 2**c) for acc, b in terms)
    # "ties round half up" and "nothing is dropped for c = 0" are the same formula.
    return min(max(floor(value + Fraction(1, 2)), lo), hi)


def random_scales(rng: np.random.Generator, n: int, lowest_c: int = 0) -> Dyadic:
    b = rng.integers(2**30, 2**31, n) * rng.choice([-1, 1], n)
    return Dyadic(b, rng.integers(lowest_c, 63, n))


def random_accumulators(rng: np.random.Generator, n: int, bits: int) -> np.ndarray:
    """All magnitudes up to 2^bits are equally likely, both signs."""
    widths = rng.integers(0, bits + 1, n)
    return rng.integers(-(1 << widths), 1 << widths, endpoint=True)


@pytest.mark.parametrize(("bits", "lowest_c"), [(31, 0), (62, 31)])
def test_requantize_equals_fractions(bits: int, lowest_c: int) -> None:
    rng = np.random.default_rng(bits)
    acc, scale = random_accumulators(rng, CASES, bits), random_scales(rng, CASES, lowest_c)
    got = requantize(acc[None], scale, *INT32)[0]
    wanted = [
        exact([(a, b)], c, *INT32)
        for a, b, c in zip(acc.tolist(), scale.b.tolist(), scale.c.tolist(), strict=True)
    ]
    assert got.tolist() == wanted
    tensor = requantize(torch.from_numpy(acc)[None], scale, *INT32)
    assert tensor[0].tolist() == wanted


@pytest.mark.parametrize(("bits", "lowest_c"), [(30, 0), (61, 31)])
def test_requantize_pair_equals_fractions(bits: int, lowest_c: int) -> None:
    rng, n = np.random.default_rng(bits), CASES // 4
    even, odd = random_accumulators(rng, n, bits), random_accumulators(rng, n, bits)
    scale = random_scales(rng, n, lowest_c)
    odd_scale = Dyadic(rng.integers(-(2**31) + 1, 2**31, n), scale.c)
    got = requantize_pair(even[None], odd[None], scale, odd_scale, -128, 127)[0]
    rows = np.stack([even, scale.b, odd, odd_scale.b, scale.c], axis=1).tolist()
    assert got.tolist() == [exact([(a, b), (d, e)], c, -128, 127) for a, b, d, e, c in rows]


EDGES = [0, 1, 2, 3, 2**30, 2**31 - 1, 2**31, 2**32 + 1, 2**61, 2**62 - 1, 2**62]


@pytest.mark.parametrize("b", [2**30, 2**31 - 1, -(2**30), -(2**31) + 1, 0])
@pytest.mark.parametrize("c", [0, 1, 29, 30, 31, 32, 61, 62])
def test_edges(b: int, c: int) -> None:
    limit = 2 ** (31 + min(c, 31)) if b else 2**62
    acc = [s * e for e in EDGES for s in (1, -1) if e <= limit]
    for lo, hi in (INT32, (0, 15), (-8, 7), (3, 3)):
        scale = Dyadic(np.array([b]), np.array([c]))
        got = requantize(np.array(acc)[:, None], scale, lo, hi)[:, 0]
        assert got.tolist() == [exact([(a, b)], c, lo, hi) for a in acc]


@pytest.mark.parametrize("size", [1, 2**30, 2**30 + 1, 2**31, 2**32, 2**33 + 1, 2**61])
@pytest.mark.parametrize("c", [31, 32, 62])
def test_two_products_leave_64_bits_at_half_the_size(size: int, c: int) -> None:
    largest = Dyadic(np.array([2**31 - 1]), np.array([c]))
    for even, odd in ((size, size), (-size, -size), (size, -size), (size - 1, size)):
        one, other = np.array([[even]]), np.array([[odd]])
        wanted = exact([(even, 2**31 - 1), (odd, 2**31 - 1)], c, *INT32)
        assert requantize_pair(one, other, largest, largest, *INT32).item() == wanted


@pytest.mark.parametrize("c", [31, 32, 40, 62])
def test_ties_round_half_up(c: int) -> None:
    """acc * 2^30 / 2^c is k + 1/2 exactly."""
    ties = np.arange(-9, 9, 2) << (c - 31)
    scale = Dyadic(np.array([2**30]), np.array([c]))
    assert requantize(ties[None], scale, *INT32)[0].tolist() == list(range(-4, 5))


def test_channels_are_axis_one() -> None:
    acc = np.full((2, 3, 2, 2), 8)
    got = requantize(acc, dyadic([0.5, 1.0, -2.0]), -100, 100)
    assert (got == np.array([4, 8, -16]).reshape(1, 3, 1, 1)).all()
    assert requantize(acc[:0], dyadic([0.5, 1.0, -2.0]), -100, 100).shape == (0, 3, 2, 2)


def test_a_narrow_and_a_wide_channel_share_a_layer() -> None:
    scale = Dyadic(np.array([2**30, 2**30]), np.array([3, 60]))
    acc = np.array([[5, 5], [-(2**34), 2**62]])
    got = requantize(acc, scale, *INT32)
    assert got.tolist() == [[5 * 2**27, 0], [INT32[0], INT32[1]]]
    assert requantize(acc, dyadic([1.0, 2.0**-40]), *INT32).tolist() == [[5, 0], [INT32[0], 2**22]]


def test_what_64_bits_cannot_hold_is_refused() -> None:
    with pytest.raises(OverflowError, match="does not fit 64 bits"):
        requantize(np.array([[2**61 + 1]]), Dyadic(np.array([2**30]), np.array([30])), *INT32)


def test_sums_that_are_all_negative_are_as_exact() -> None:
    acc, scale = (
        np.array([[-(2**40) - 1], [-(2**40)]]),
        Dyadic(np.array([2**31 - 1]), np.array([50])),
    )
    wanted = [exact([(a, 2**31 - 1)], 50, *INT32) for a in acc[:, 0].tolist()]
    assert requantize(acc, scale, *INT32)[:, 0].tolist() == wanted


@given(st.floats(2.0**-32, 2.0**31 - 1), st.booleans())
def test_dyadic_is_the_nearest_31_bit_number(x: float, negative: bool) -> None:
    number = dyadic(-x if negative else x)
    b, c = int(number.b[0]), int(number.c[0])
    assert 2**30 <= abs(b) < 2**31
    assert 0 <= c <= 62
    assert (b < 0) == negative
    # At the carry to the next power of two the step is the one below it.
    step = Fraction(1, 2**c) if abs(b) > 2**30 else Fraction(1, 2 ** (c + 1))
    assert abs(Fraction(x) - Fraction(abs(b), 2**c)) <= max(step, Fraction(1, 2**c)) / 2


def test_dyadic_edges() -> None:
    x = [0.0, -0.0, 1.0, 1 - 2.0**-40, 2.0**31 - 1, 2.0**-32, 2.0**-33, 2.0**-200]
    number = dyadic(x)
    assert number.b.tolist() == [0, 0, 2**30, 2**30, 2**31 - 1, 2**30, 2**29, 0]
    assert number.c.tolist() == [0, 0, 30, 30, 0, 62, 62, 0]
    assert number.b.dtype == number.c.dtype == np.int64
    # A tie of the mantissa: 2^30 + 1/2 and its negative.
    assert dyadic([1 + 2.0**-31, -1 - 2.0**-31]).b.tolist() == [2**30 + 1, -(2**30) - 1]


@pytest.mark.parametrize("x", [2.0**31, 2.0**31 - 0.5, np.inf, np.nan, -(2.0**40)])
def test_a_scale_that_is_too_large_is_refused(x: float) -> None:
    with pytest.raises(UserError, match="scale of"):
        dyadic(x)


@given(st.integers(-(2**31) + 1, 2**31 - 1), st.floats(2.0**-80, 2.0**-32, exclude_max=True))
def test_tiny_scales_give_what_the_real_scale_gives(acc: int, x: float) -> None:
    wanted = floor(Fraction(acc) * Fraction(x) + Fraction(1, 2))
    assert requantize(np.array([[acc]]), dyadic(x), *INT32).item() == wanted == 0


@given(st.floats(2.0**-32, 2.0**30), st.booleans())
def test_pair_is_a_common_shift_and_the_ratio_sqrt_2(x: float, negative: bool) -> None:
    even, odd = pair(-x if negative else x)
    b, odd_b, c = int(even.b[0]), int(odd.b[0]), int(even.c[0])
    assert c == int(odd.c[0])
    assert 0 <= c <= 62
    assert 2**29 <= abs(b) < 2**31
    assert 2**30 <= abs(odd_b) < 2**31
    assert (b < 0) == (odd_b < 0) == negative
    assert abs(Fraction(abs(b), 2**c) - Fraction(x)) <= Fraction(1, 2 ** (c + 1))
    # floor(sqrt(2) * x * 2^c) of integers only; rounding adds at most one, float64's sqrt(2) 2^-21.
    below = isqrt(floor(2 * (Fraction(x) * 2**c) ** 2))
    assert 0 <= abs(odd_b) - below <= 1


def test_sqrt2_products_by_hand() -> None:
    """Codes q = (1, 1), exponents h = (0, 1): A = B = 1, and 1 + sqrt(2) at scale 100 is 241."""
    one = np.array([[1]])
    assert requantize_pair(one, one, *pair(100.0), 0, 1000).item() == 241
