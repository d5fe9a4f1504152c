"""Shapes by the formulas of each operation, on an image whose axes all differ."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.integer.by_hand import one_layer
from tests.integer.program.pieces import HALF, after_pixels

from dyadic.integer.program.operations import (
    AdaptiveSumPool,
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
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
    Weights,
)
from dyadic.integer.program.requirements import ProgramError
from dyadic.integer.program.shapes import shapes

X = ("input",)
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (Normalize("y", X, np.zeros(3, int), HALF, 0, 9), (3, 5, 7)),
        (Requantize("y", X, HALF, 0, 9), (3, 5, 7)),
        (Threshold("y", X, np.array([1]), np.array([0, 1])), (3, 5, 7)),
        (Lookup("y", X, 0, np.arange(256)), (3, 5, 7)),
        (Relu("y", X), (3, 5, 7)),
        (Add("y", X * 2, 0, 9), (3, 5, 7)),
        (Multiply("y", X * 2, HALF, 0, 9), (3, 5, 7)),
        (Concat("y", X * 3), (9, 5, 7)),
        (Select("y", X, np.array([2, -1])), (2, 5, 7)),
        (Pad("y", X, (1, 2, 3, 5)), (3, 13, 10)),
        (Pad("y", X, (-1, 3, 2, -3)), (3, 4, 9)),
        (Repeat("y", X, (2, 3)), (3, 10, 21)),
        (AdaptiveSumPool("y", X, (2, 9)), (3, 2, 9)),
        (SumPool("y", X, (2, 3), (2, 1), (1, 0), ceil=True), (3, 3, 5)),
        (MaxPool("y", X, (5, 7), (1, 1), (0, 0), False), (3, 1, 1)),
        (Flatten("y", X), (105,)),
    ],
)
def test_shapes_by_hand(operation: Operation, shape: tuple[int, ...]) -> None:
    found = shapes(after_pixels(operation, shape=(3, 5, 7)))
    assert found == {"input": (3, 5, 7), "y": shape, "last": (int(np.prod(shape)),)}


@given(PAIRS, PAIRS, PAIRS, PAIRS, st.integers(1, 2))
def test_a_convolution_has_torchs_windows(
    kernel: tuple, stride: tuple, padding: tuple, dilation: tuple, groups: int
) -> None:
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weights = np.ones((4, 3, *kernel), np.int64)
    program = one_layer(weights, np.zeros(4, np.int64), HALF, rows=8, **window)
    image = torch.zeros(1, *program.input_shape)
    expected = F.conv2d(image, torch.from_numpy(weights).float(), **window)
    assert shapes(program)["conv"] == tuple(expected.shape[1:])


FITTING = [(3, 5, 7), (3, 1, 1), (1, 1, 1), (1, 5, 1), (3, 1, 7), (3,), (1,)]
UNFIT = [(2, 5, 7), (3, 4, 7), (3, 5, 6), (3, 5, 2), (2, 1, 1), (2,), (7,)]


@pytest.mark.parametrize("gate", [*FITTING, *UNFIT])
def test_a_gate_has_each_axis_or_one(gate: tuple[int, ...]) -> None:
    channels, *size = gate
    some = Select("some", X, np.zeros(channels, int))
    pooled = AdaptiveSumPool("pooled", ("some",), (size[0], size[1]) if size else (1, 1))
    last = Relu("gate", ("pooled",)) if size else Flatten("gate", ("pooled",))
    product = Multiply("y", ("input", "gate"), HALF, 0, 9)
    made = after_pixels(some, pooled, last, product, shape=(3, 5, 7))
    if gate in FITTING:
        assert shapes(made)["y"] == (3, 5, 7)
        return
    with pytest.raises(ProgramError, match="each axis of the second: equal or 1"):
        shapes(made)


@pytest.mark.parametrize(
    "padding", [(-5, 3, 0, 0), (3, -5, 0, 0), (0, 0, -4, 2), (-2, -3, 0, 0), (0, 0, -1, -3)]
)
def test_what_is_cut_off_leaves_a_row_and_a_column(padding: tuple[int, int, int, int]) -> None:
    with pytest.raises(ProgramError, match="cuts everything off"):
        shapes(after_pixels(Pad("y", X, padding), shape=(1, 4, 5)))
    assert shapes(after_pixels(Pad("y", X, (1, 1, 1, 1)), shape=(1, 1, 1)))["y"] == (1, 3, 3)


def test_what_is_joined_differs_in_channels_alone() -> None:
    assert shapes(after_pixels(Concat("y", X), shape=(2, 4, 5)))["y"] == (2, 4, 5)
    for padding in ((1, 0, 0, 0), (0, 0, 1, 0)):
        with pytest.raises(ProgramError, match="differ beyond their channels"):
            shapes(after_pixels(Pad("more", X, padding), Concat("y", ("input", "more"))))


def test_a_flat_tensor_is_gated_by_flat_ones() -> None:
    flat, image = Flatten("flat", X), Relu("image", X)
    made = after_pixels(flat, Multiply("y", ("flat", "flat"), HALF, 0, 9), shape=(2, 1, 1))
    assert shapes(made)["y"] == (2,)
    with pytest.raises(ProgramError, match="each axis of the second"):
        shapes(after_pixels(flat, image, Multiply("y", ("flat", "image"), HALF, 0, 9)))


RESCALED = [
    Normalize("y", X, np.zeros(3, int), HALF, 0, 9),
    Requantize("y", X, HALF, 0, 9),
    Multiply("y", X * 2, HALF, 0, 9),
]


@pytest.mark.parametrize("operation", [*RESCALED, Add("y", X * 2, 0, 9)])
def test_every_scale_and_clamp_is_checked(operation: Operation) -> None:
    two = Dyadic(HALF.b.repeat(2), HALF.c.repeat(2))
    changes = [{"lo": 10}, {"hi": 2**31}]
    if not isinstance(operation, Add):
        changes += [{"scale": Dyadic(HALF.b, HALF.c + 32)}, {"scale": two}]
    for change in changes:
        with pytest.raises(ProgramError, match=r"clamp from|scale c outside|scale b is int64"):
            shapes(after_pixels(replace(operation, **change), shape=(3, 5, 7)))


def test_the_pixels_have_a_bias_and_a_scale_for_each_channel() -> None:
    three = Dyadic(HALF.b.repeat(3), HALF.c.repeat(3))
    good = replace(RESCALED[0], scale=three)
    assert shapes(after_pixels(good, shape=(3, 5, 7)))["y"] == (3, 5, 7)
    with pytest.raises(ProgramError, match=r"bias is int64 \(3,\); int64 \(2,\) expected"):
        shapes(after_pixels(good, shape=(2, 5, 7)))


def test_logits_are_the_last_operations_row() -> None:
    dense = Linear(
        "y", ("flat",), Weights(np.zeros((4, 8), np.uint8), np.array([1]), 1), np.zeros(4, int),
        HALF, 0, 9,
    )  # fmt: skip
    made = Program("p", (2, 2, 2), (Flatten("flat", X), dense), 1.0)
    assert shapes(made) == {"input": (2, 2, 2), "flat": (8,), "y": (4,)}
    with pytest.raises(ProgramError, match=r"'image' \(Relu\): logits of shape \(2, 2, 2\)"):
        shapes(Program("p", (2, 2, 2), (*made.operations, Relu("image", X)), 1.0))
