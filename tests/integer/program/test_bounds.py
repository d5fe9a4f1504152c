"""Accumulator bounds are reached and never passed; wrong programs are refused by name."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integer.random_programs import one_layer, random_images
from tests.integer.resnet20 import resnet20

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import compare
from dyadic.integer.engines.compiled import export_c
from dyadic.integer.engines.onnx.engine import export_onnx
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program import bounds
from dyadic.integer.program.bounds import accumulator_bits, prove
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.files import save
from dyadic.integer.program.operations import (
    INT32,
    Add,
    Concat,
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
    Requantize,
    Select,
    SumPool,
    Threshold,
    Weights,
)
from dyadic.integer.program.requirements import ProgramError
from dyadic.integer.program.shapes import shapes

HALF = dyadic(0.5)


@given(st.lists(st.integers(-128, 128), min_size=1, max_size=8), st.integers(-(10**6), 10**6))
def test_bounds_are_reached_by_the_worst_image(weights: list[int], bias: int) -> None:
    w = np.array(weights).reshape(1, -1, 1, 1)
    bound = prove(one_layer(w, np.array([bias]), HALF)).accumulators["conv"]
    sums = [255 * sum(v for v in weights if v * sign > 0) for sign in (-1, 1)]
    assert bound.lo.tolist() == [[min(sums[0], sums[0] + bias)]]
    assert bound.hi.tolist() == [[max(sums[1], sums[1] + bias)]]
    assert -(2 ** (bound.bits - 1)) <= bound.lo.min()
    assert bound.hi.max() < 2 ** (bound.bits - 1)
    # One bit less would not hold both ends; an accumulator that stays 0 has the sign bit alone.
    quarter = 2**bound.bits // 4
    assert bound.bits == 1 or bound.lo.min() < -quarter or bound.hi.max() >= quarter


@pytest.mark.parametrize(("bits", "expected"), [(2, 19), (3, 20), (4, 22), (5, 26), (6, 34)])
def test_bits_of_inq_layers(bits: int, expected: int) -> None:
    """ResNet-20's widest layer: 1 + bitlength(576 * 255 * 2^K) with K = 2^(b-2) - 1."""
    w = np.full((1, 64, 3, 3), 2 ** (2 ** (bits - 2) - 1))
    program = one_layer(w, np.array([0]), HALF)
    assert accumulator_bits(program) == {"conv": expected}
    bound = prove(program).accumulators["conv"]
    assert bound.dtype == ("int32" if bits < 6 else "int64")
    assert bound.split == (bits == 6)


def test_zero_padding_counts_as_an_input() -> None:
    """Pixels raised to 5 .. 9: a sum may still hold any subset of the products."""
    raised = Normalize("raised", ("input",), np.array([0]), dyadic(1 / 512), 5, 9)
    weights = Weights(np.array([[[[0, 1]]]], np.uint8), np.array([-1, 2]), 1)
    conv = replace(
        one_layer(np.ones((1, 1, 1, 2), np.int64), np.array([0]), HALF).operations[0],
        inputs=("raised",),
        weights=weights,
        padding=(0, 1),
    )
    program = Program("p", (1, 4, 4), (raised, conv, Flatten("flat", ("conv",))), 1.0)
    bound = prove(program).accumulators["conv"]
    assert (bound.lo.item(), bound.hi.item()) == (-9, 18)


def test_two_planes_have_two_bounds() -> None:
    weights = Weights(np.array([[0, 1, 2]], np.uint8), np.array([[-4, 0, 1], [0, 1, 2]]), 2)
    scale, odd = pair(0.01)
    layer = Linear("layer", ("flat",), weights, np.array([-5]), scale, -99, 99, odd=odd)
    proof = prove(Program("p", (3, 1, 1), (Flatten("flat", ("input",)), layer), 1.0))
    bound = proof.accumulators["layer"]
    assert bound.lo.tolist() == [[-4 * 255 - 5], [0]]
    assert bound.hi.tolist() == [[255], [3 * 255]]
    # -1025 * 0.01 and 255 * 0.01 + 765 * 0.01414
    assert proof.ranges["layer"] == (-10, 13)


def test_ranges_follow_the_operations() -> None:
    known = prove(resnet20()).ranges
    assert known["input"] == (0, 255)
    assert known["image"] == (-53, 127)
    assert known["block0.add"][0] == 0
    assert known["sum"] == (0, 49 * 255)
    assert known["mean"] == (0, 255)
    assert shapes(resnet20())["block8"] == (64, 7, 7)


def layer(**changes) -> Program:
    """A 1 x 1 convolution with one field changed."""
    program = one_layer(np.full((2, 1, 1, 1), 3), np.array([1, 2]), HALF)
    conv, flat = program.operations
    return replace(program, operations=(replace(conv, **changes), flat))


def after_pixels(*operations: Operation, shape: tuple = (1, 4, 4)) -> Program:
    last = Flatten("last", (operations[-1].name,))
    return Program("p", shape, (*operations, last), 1.0)


def weights(codes: list, levels: list, bits: int = 1) -> Weights:
    return Weights(np.array(codes, np.uint8).reshape(2, 1, 1, 1), np.array(levels), bits)


B30 = np.array([2**30])
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
    "is empty or too large": layer(
        weights=Weights(np.zeros((2, 1, 5, 5), np.uint8), np.array([1]), 1)
    ),
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


def test_engines_and_exports_take_what_is_proved(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """One proof serves a whole run, and weights are unfolded once."""
    calls = []
    monkeypatch.setattr(bounds, "shapes", lambda program: calls.append(1) or shapes(program))
    program = resnet20(size=12)
    proof = prove(program)
    images = random_images(program, 2)
    save(proof, tmp_path)
    export_c(proof, tmp_path / "c")
    export_onnx(proof, tmp_path / "net.onnx")
    found = engines(proof, tmp_path / "net.onnx")
    report = compare(found, images, np.zeros(2, np.int64))
    assert report.passed
    assert accumulator_bits(proof)
    assert len(calls) == 1
    conv = program.operations[1]
    assert isinstance(conv, Linear)
    assert conv.weights.planes is conv.weights.planes


@pytest.mark.parametrize("ends", [(5, 9), (-9, -5), (-3, 4)])
@pytest.mark.parametrize(("padding", "ceil"), [((1, 1), False), ((0, 0), True), ((0, 0), False)])
def test_the_padding_of_a_sum_pool_is_within_its_bound(
    ends: tuple[int, int], padding: tuple[int, int], ceil: bool
) -> None:
    offsets = np.zeros(1, dtype=np.int64)
    pixels = Normalize("pixels", ("input",), offsets, dyadic(1.0), *ends)
    pool = SumPool("pool", ("pixels",), (3, 3), (2, 2), padding, ceil)
    program = Program("p", (1, 6, 6), (pixels, pool, Flatten("flat", ("pool",))), 1.0)
    images = np.concatenate([np.full((1, 1, 6, 6), v, np.uint8) for v in (0, 255)])
    found = ReferenceEngine(program).trace(images)["pool"]
    lo, hi = prove(program).ranges["pixels"]
    low, high = prove(program).ranges["pool"]
    assert low <= found.min()
    assert found.max() <= high
    padded = any(padding) or ceil
    assert (low, high) == ((min(9 * lo, 0), max(9 * hi, 0)) if padded else (9 * lo, 9 * hi))
