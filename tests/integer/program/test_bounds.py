"""Accumulator bounds are reached and never passed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integer.by_hand import one_layer
from tests.integer.random_programs import random_images
from tests.integer.resnet20 import resnet20

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
    Flatten,
    Linear,
    Normalize,
    Program,
    SumPool,
    Weights,
)
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
