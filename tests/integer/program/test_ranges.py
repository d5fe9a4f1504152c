"""The proved range of every operation is the one that its inputs reach, and what int32 refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integer.by_hand import one_layer

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.dyadic import dyadic, plain_limit
from dyadic.integer.program.operations import (
    INT32,
    ZEROS,
    AdaptiveSumPool,
    Add,
    Concat,
    Flatten,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Normalize,
    Operation,
    Pad,
    Program,
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
    Weights,
)
from dyadic.integer.program.requirements import ProgramError

ENDS = [(5, 9), (-9, -5), (-3, 4), (0, 0), (0, 255), (-200, 55)]
X = ("pixels",)


def pixels(lo: int, hi: int, channels: int = 1, name: str = "pixels") -> Normalize:
    """Pixels as the integers from lo on, those above hi as hi."""
    return Normalize(name, ("input",), np.full(channels, lo * 256), dyadic(1 / 256), lo, hi)


def wide(name: str, lo: int, hi: int) -> Normalize:
    """Pixels as lo or hi, but for one."""
    return Normalize(name, ("input",), np.array([-128 * 256]), dyadic(2.0**24), lo, hi)


def program(*operations: Operation, size: int = 2, channels: int = 1) -> Program:
    last = Flatten("flat", (operations[-1].name,))
    return Program("p", (channels, size, size), (*operations, last), 1.0)


def square_less(lo: int, hi: int) -> Lookup:
    k = np.arange(lo, hi + 1)
    return Lookup("y", X, lo, k * k - 7 * k)


UNARY = {
    "requantize": lambda lo, hi: Requantize("y", X, dyadic(0.37), -50, 60),
    "requantize, falling": lambda lo, hi: Requantize("y", X, dyadic(-1.7), -50, 90),
    "threshold": lambda lo, hi: Threshold("y", X, np.array([-4, 0, 6]), np.array([-30, -2, 5, 9])),
    "relu": lambda lo, hi: Relu("y", X),
    "lookup": square_less,
    "pad": lambda lo, hi: Pad("y", X, (1, 0, 0, 0)),
    "cut": lambda lo, hi: Pad("y", X, (0, 0, 0, -1)),
    "no pad": lambda lo, hi: Pad("y", X, (0, 0, 0, 0)),
    "select": lambda lo, hi: Select("y", X, np.array([0])),
    "select zeros": lambda lo, hi: Select("y", X, np.array([0, ZEROS])),
    "concat": lambda lo, hi: Concat("y", X * 2),
    "max pool": lambda lo, hi: MaxPool("y", X, (2, 2), (1, 1), (0, 0), False),
    "repeat": lambda lo, hi: Repeat("y", X, (2, 1)),
    "sum pool": lambda lo, hi: SumPool("y", X, (2, 1), (2, 2), (0, 0)),
    "adaptive": lambda lo, hi: AdaptiveSumPool("y", X, (2, 1)),
    "add": lambda lo, hi: Add("y", X * 2, *INT32),
    "add, clamped": lambda lo, hi: Add("y", X * 2, -6, 12),
}


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("kind", UNARY)
def test_a_range_is_what_all_pixels_reach(kind: str, ends: tuple[int, int]) -> None:
    made = program(pixels(*ends), UNARY[kind](*ends))
    images = np.arange(256, dtype=np.uint8)[:, None, None, None].repeat(2, 2).repeat(2, 3)
    found = ReferenceEngine(made).trace(images)
    for name in ("pixels", "y"):
        assert prove(made).ranges[name] == (found[name].min(), found[name].max())


@pytest.mark.parametrize("ends", ENDS)
def test_a_products_range_is_what_all_pairs_reach(ends: tuple[int, int]) -> None:
    sides = [Select(name, X, np.array([k])) for k, name in enumerate("ab")]
    product = Multiply("y", ("a", "b"), dyadic(0.5), -10_000, 10_000)
    made = program(pixels(*ends, channels=2), *sides, product, size=1, channels=2)
    grid = np.arange(0, 256, 5, dtype=np.uint8)
    images = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2, 1, 1)
    found = ReferenceEngine(made).trace(images)["y"]
    assert prove(made).ranges["y"] == (found.min(), found.max())


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.sampled_from(ENDS))
def test_sums_are_bounded_term_by_term(weights: list[int], ends: tuple[int, int]) -> None:
    levels, codes = np.unique(weights, return_inverse=True)
    stored = Weights(codes.reshape(1, -1).astype(np.uint8), levels, 4)
    layer = Linear("y", ("flat0",), stored, np.array([3]), dyadic(1.0), *INT32)
    flat, first = Flatten("flat0", X), pixels(*ends, channels=len(weights))
    made = Program("p", (len(weights), 1, 1), (first, flat, layer), 1.0)
    bound = prove(made).accumulators["y"]
    lo = sum(min(w * end for end in (*ends, 0)) for w in weights)
    hi = sum(max(w * end for end in (*ends, 0)) for w in weights)
    assert (bound.lo.item(), bound.hi.item()) == (min(lo, lo + 3), max(hi, hi + 3))


def test_only_the_entries_that_inputs_reach_count() -> None:
    table = Lookup("y", X, 1, np.array([-99, 7, 9, 8, 99]))
    assert prove(program(pixels(2, 4), table)).ranges["y"] == (7, 9)


def layer(bias: int, weight: int = 0, scale: float = 0.5) -> Program:
    return one_layer(np.full((1, 1, 1, 1), weight), np.array([bias]), dyadic(scale))


@pytest.mark.parametrize(
    ("bias", "weight", "bits", "split"),
    [
        (0, 2**23, 32, False),
        (2**31 - 1, 0, 32, False),
        (-(2**31), 0, 32, False),
        (2**31, 0, 33, False),
        (2**31 + 1, 0, 33, True),
        (-(2**31) - 1, 0, 33, True),
    ],
)
def test_the_width_changes_where_the_number_does(
    bias: int, weight: int, bits: int, split: bool
) -> None:
    bound = prove(layer(bias, weight)).accumulators["conv"]
    assert (bound.bits, bound.split) == (bits, split)
    assert bound.dtype == ("int32" if bits == 32 else "int64")


def biased(bias: int) -> Program:
    return program(Normalize("y", ("input",), np.array([bias]), dyadic(0.5), -9, 9))


def added(lo: int, hi: int, other: int) -> Program:
    sides = wide("a", lo, hi), wide("b", lo, other)
    return program(*sides, Add("y", ("a", "b"), *INT32))


def multiplied(hi: int) -> Program:
    sides = wide("a", *INT32), pixels(0, hi, name="b")
    return program(*sides, Multiply("y", ("a", "b"), dyadic(0.5), -9, 9))


def looked_up(lo: int, hi: int) -> Program:
    return program(pixels(lo, hi), Lookup("y", X, 2, np.array([7, 8, 9])))


def heavy(lo: int) -> Program:
    """Two weights of 31 bits, and inputs that are negative."""
    stored = Weights(np.zeros((1, 2), np.uint8), np.array([INT32[1]]), 1)
    dense = Linear("y", ("flat0",), stored, np.array([0]), dyadic(2.0**-40), -9, 9)
    return Program("p", (1, 1, 2), (wide("x", lo, 0), Flatten("flat0", ("x",)), dense), 1.0)


LIMIT = plain_limit(1)


@pytest.mark.parametrize(
    "made",
    [
        biased(LIMIT - 255 * 256),
        biased(-LIMIT),
        added(-(2**30), 2**30, 2**30 - 1),
        multiplied(1),
        looked_up(2, 4),
        layer(2**36, scale=2.0**25),
        layer(-(2**36), scale=2.0**25),
        layer(2**62 - 2**9),
    ],
)
def test_what_just_fits_is_proved(made: Program) -> None:
    assert prove(made).ranges["flat"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (biased(LIMIT - 255 * 256 + 1), "the bias leaves int32"),
        (biased(-LIMIT - 1), "bias outside"),
        (added(-(2**30), 2**30, 2**30), "the sum, -2147483648 to 2147483648, does not fit"),
        (added(-(2**30) - 1, 5, 5), "the sum, -2147483650 to 10, does not fit"),
        (multiplied(2), "the product, .* does not fit int32"),
        (looked_up(1, 4), "inputs 1 to 4; the table has 2 to 4"),
        (looked_up(2, 5), "inputs 2 to 5; the table has 2 to 4"),
        (heavy(INT32[0]), "does not fit 62 bits"),
        (layer(2**62), "does not fit 62 bits"),
        # c = 5: an accumulator is split in two words of 31 and 5 bits
        (layer(2**36 + 1, scale=2.0**25), "38 bits times its scale does not fit 64 bits"),
        (layer(-(2**36) - 1, scale=2.0**25), "38 bits times its scale does not fit 64 bits"),
        (
            program(
                pixels(0, 0), SumPool("y", X, (23, 23), (1, 1), (11, 11), False, "image"), size=24
            ),
            "no common multiple",
        ),
    ],
)
def test_what_int32_does_not_hold_is_refused(made: Program, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        prove(made)
