"""Wrong programs are refused in one line that names the operation."""

from dataclasses import replace

import numpy as np
import pytest
from tests.integer.by_hand import one_layer
from tests.integer.program.pieces import HALF, after_pixels, layer, weights

from dyadic.errors import UserError
from dyadic.integer.program.bounds import accumulator_bits, prove
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import (
    INT32,
    AdaptiveSumPool,
    Add,
    Concat,
    Conv,
    Dyadic,
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

B30 = np.array([2**30])


def two_planes(levels: object = ((1, 0), (0, 1)), **changes) -> Program:
    """Weights 1 and sqrt(2), one field changed."""
    stored = weights([0, 1], levels)
    return layer(**{"weights": stored, "scale": EVEN, "odd": ODD} | changes)


EVEN, ODD = pair(0.0125)  # the smaller b is below 2^30
REFUSED = {
    "the name is used twice": after_pixels(Requantize("input", ("input",), HALF, 0, 1)),
    "made by no earlier operation": after_pixels(Requantize("a", ("b",), HALF, 0, 1)),
    "not a printable name": after_pixels(Requantize("two\nlines", ("input",), HALF, 0, 1)),
    "at most 200 letters": after_pixels(Requantize("x" * 201, ("input",), HALF, 0, 1)),
    "is not normalized": layer(scale=Dyadic(np.array([5]), np.array([31]))),
    "scale c outside 0 .. 62": layer(scale=Dyadic(B30, np.array([63]))),
    "scale b outside": layer(scale=Dyadic(B30 * 2, np.array([31]))),
    r"scale b is int64 \(3,\)": layer(scale=Dyadic(B30.repeat(3), np.array([31] * 3))),
    "scale c is float64": layer(scale=Dyadic(B30, np.array([31.0]))),
    "two planes need two scales": layer(odd=HALF),
    "the two scales have different c": two_planes(scale=Dyadic(EVEN.b, EVEN.c + 1)),
    r"scale b outside -2147483647 \.\. 2147483647": two_planes(odd=Dyadic(B30 * 2, ODD.c)),
    r"scale b is int64 \(3,\); int64 \(2,\)": two_planes(odd=Dyadic(B30.repeat(3), ODD.c)),
    "two planes need two": two_planes(odd=None),
    "levels are not": two_planes(levels=((0, 1), (1, 0))),
    r"levels of shape \(1, 2\)": two_planes(levels=((0, 1),)),
    r"levels of shape \(3, 2\)": two_planes(levels=((0, 1), (0, 1), (0, 1))),
    r"levels of shape \(1, 1, 2\)": two_planes(levels=(((0, 1),),)),
    "weight codes are int64": layer(weights=Weights(np.zeros((2, 1, 1, 1), int), B30, 1)),
    r"weights of shape \(2, 1\)": layer(weights=Weights(np.zeros((2, 1), np.uint8), B30, 1)),
    r"weights of shape \(2, 0, 1, 1\)": layer(
        weights=Weights(np.zeros((2, 0, 1, 1), np.uint8), B30, 1)
    ),
    "code 0 of 0 levels": layer(weights=weights([0, 0], np.zeros(0, int))),
    r"bias outside -4611686018427387904 \.\. 4611686018427387904": layer(
        bias=np.array([0, 2**62 + 1])
    ),
    "bias is int32": layer(bias=np.array([1, 2], np.int32)),
    r"bias is int64 \(1,\)": layer(bias=np.array([1])),
    "clamp from 5 to 4": layer(lo=5, hi=4),
    "clamp from 0 to 2147483648": layer(lo=0, hi=2**31),
    "code 3 of 2 levels": layer(weights=weights([0, 3], [0, 1])),
    "levels are not ascending": layer(weights=weights([0, 1], [1, 0])),
    "3 levels do not fit 1 bits": layer(weights=weights([0, 1], [0, 1, 2])),
    "weights of 17 bits": layer(weights=weights([0, 1], [0, 1], 17)),
    "levels outside": layer(weights=weights([0, 1], [0, 2**31])),
    "channels, weights for 1 in 2": layer(groups=2),
    "must be positive": layer(stride=(0, 1)),
    "is negative": layer(padding=(0, -1)),
    "is empty": layer(weights=Weights(np.zeros((2, 1, 5, 5), np.uint8), np.array([1]), 1)),
    "more than half the window": after_pixels(
        MaxPool("m", ("input",), (3, 3), (1, 1), (2, 2), False)
    ),
    "differ beyond": after_pixels(
        MaxPool("m", ("input",), (3, 3), (1, 1), (0, 0), False), Concat("c", ("input", "m"))
    ),
    "inputs of shapes": after_pixels(
        MaxPool("m", ("input",), (3, 3), (1, 1), (0, 0), False), Add("a", ("input", "m"), 0, 1)
    ),
    "1 inputs; two expected": after_pixels(Add("a", ("input",), 0, 1)),
    "not in ascending order": after_pixels(
        Threshold("t", ("input",), np.array([2, 1]), np.array([0, 1, 2]))
    ),
    "inputs 0 to 255; the table has 0 to 254": after_pixels(
        Lookup("t", ("input",), 0, np.arange(255))
    ),
    "a table of 0; 1 to 256": after_pixels(Lookup("t", ("input",), 0, np.arange(0))),
    "a table of 257": after_pixels(Lookup("t", ("input",), 0, np.arange(257))),
    "each axis of the second": after_pixels(
        MaxPool("m", ("input",), (3, 3), (1, 1), (0, 0), False),
        Multiply("p", ("input", "m"), HALF, 0, 1),
    ),
    "the product, 0 to": after_pixels(
        Requantize("r", ("input",), dyadic(2.0**8), *INT32), Multiply("p", ("r", "r"), HALF, 0, 1)
    ),
    "channels outside -1 .. 0": after_pixels(Select("s", ("input",), np.array([0, 1]))),
    "cuts everything off": after_pixels(Pad("p", ("input",), (-2, -2, 0, 0))),
    "counted is 'windows'": after_pixels(
        SumPool("s", ("input",), (2, 2), (2, 2), (0, 0), counted="windows")
    ),
    "must be the pixels": after_pixels(
        Requantize("r", ("input",), HALF, 0, 9), Normalize("n", ("r",), np.array([0]), HALF, 0, 1)
    ),
    "the bias leaves int32": after_pixels(
        Normalize("n", ("input",), np.array([2**31 - 1]), HALF, 0, 1)
    ),
    "unknown operation": after_pixels(Operation("o", ("input",))),
    "weights for 7": Program(
        "p",
        (1, 2, 2),
        (
            Flatten("f", ("input",)),
            Linear(
                "l",
                ("f",),
                Weights(np.zeros((1, 7), np.uint8), np.array([1]), 1),
                np.array([0]),
                HALF,
                0,
                1,
            ),
        ),
        1.0,
    ),
    "Flatten first": Program("p", (1, 2, 2), (Requantize("r", ("input",), HALF, 0, 1),), 1.0),
    "no operations": Program("p", (1, 2, 2), (), 1.0),
    "input shape": Program("p", (1, 0, 2), (Flatten("f", ("input",)),), 1.0),
    # what the bounds find
    "does not fit 62 bits": layer(bias=np.array([0, 2**62])),
    "does not fit 64 bits": layer(bias=np.array([0, 2**62 - 2**20]), scale=dyadic(1.0)),
    "does not fit int32": after_pixels(
        Requantize("r", ("input",), dyadic(2.0**22), *INT32),
        SumPool("s", ("r",), (4, 4), (1, 1), (0, 0)),
    ),
    "the sum, 0 to": after_pixels(
        Requantize("r", ("input",), dyadic(2.0**23), *INT32), Add("a", ("r", "r"), *INT32)
    ),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_in_one_line_that_names_the_operation(message: str) -> None:
    with pytest.raises(ProgramError, match=message) as caught:
        prove(REFUSED[message])
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)
    program = message in ("no operations", "input shape")
    assert program or str(caught.value).startswith("operation '")


def test_what_the_refused_programs_vary_is_accepted() -> None:
    assert accumulator_bits(layer()) == {"conv": 11}
    assert accumulator_bits(two_planes()) == {"conv": 10}
    for levels in (((0, 3), (2, 0)), ((7, 0), (0, 5))):  # 2 sqrt(2) < 3, 7 < 5 sqrt(2)
        assert prove(two_planes(levels=levels)).program
    assert prove(one_layer(np.ones((1, 1, 1, 1), int), np.array([0]), HALF)).program


ONE_INPUT = [
    Conv("y", (), weights([0, 0], [1]), np.array([0, 0]), HALF, 0, 1),
    Linear("y", (), Weights(np.zeros((1, 16), np.uint8), B30, 1), np.array([0]), HALF, 0, 1),
    Normalize("y", (), np.array([0]), HALF, 0, 1),
    MaxPool("y", (), (2, 2), (1, 1), (0, 0), False),
    SumPool("y", (), (2, 2), (1, 1), (0, 0)),
    AdaptiveSumPool("y", (), (2, 2)),
    Pad("y", (), (1, 1, 1, 1)),
    Repeat("y", (), (2, 2)),
    Requantize("y", (), HALF, 0, 1),
    Threshold("y", (), np.array([3]), np.array([0, 1])),
    Lookup("y", (), 0, np.arange(256)),
    Select("y", (), np.array([0])),
    Relu("y", ()),
    Flatten("y", ()),
]


@pytest.mark.parametrize("operation", ONE_INPUT, ids=lambda o: type(o).__name__)
def test_inputs_are_as_many_and_of_the_rank_that_the_operation_takes(operation: Operation) -> None:
    def of(*inputs: str) -> Program:
        return after_pixels(Flatten("flat", ("input",)), replace(operation, inputs=inputs))

    flat = isinstance(operation, Linear) and not isinstance(operation, Conv)
    assert prove(of("flat" if flat else "input")).program
    for inputs in ((), ("input", "input"), ("flat", "input")):
        with pytest.raises(ProgramError, match=f"{len(inputs)} inputs; one expected"):
            prove(of(*inputs))
    if operation in ONE_INPUT[:8]:
        with pytest.raises(ProgramError, match=r"is not of rank [13]"):
            prove(of("input" if flat else "flat"))


@pytest.mark.parametrize("kind", [Add, Multiply])
def test_sums_and_products_have_two_inputs(kind: type) -> None:
    fields = {"lo": 0, "hi": 9} | ({"scale": HALF} if kind is Multiply else {})
    for inputs in ((), ("input",), ("input",) * 3):
        with pytest.raises(ProgramError, match=f"{len(inputs)} inputs; two expected"):
            prove(after_pixels(kind("y", inputs, **fields)))
    with pytest.raises(ProgramError, match="no inputs"):
        prove(after_pixels(Concat("y", ())))


def test_a_line_is_printable_and_at_most_1000_letters() -> None:
    assert str(ProgramError("x" * 999 + "yz")) == "x" * 999 + "y"
    assert str(ProgramError("a\n\x1b\ud800é")) == r"a\n\x1b\ud800é"
