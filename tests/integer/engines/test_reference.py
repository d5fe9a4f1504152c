"""The reference engine against loops in Python integers and PyTorch's own pooling."""

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from tests.integer.by_hand import one_layer
from tests.integer.random_programs import programs, random_images

from dyadic.errors import UserError
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import (
    ZEROS,
    Concat,
    Conv,
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

ONE = dyadic(1.0)


def run_one(operation: Operation, images: np.ndarray) -> np.ndarray:
    """The tensor that one operation makes of the pixels."""
    flat = Flatten("flat", (operation.name,))
    program = Program("one", images.shape[1:], (operation, flat), 1.0)
    return ReferenceEngine(program).trace(images)[operation.name]


def loops(conv: Conv, x: np.ndarray) -> np.ndarray:
    """Accumulators by the definition of convolution, in Python integers, one image."""
    weights, (rows, columns) = conv.weights.planes[0].tolist(), x.shape[1:]
    outputs, per_group, kernel_rows, kernel_columns = conv.weights.codes.shape
    steps = zip((rows, columns), (kernel_rows, kernel_columns), strict=True)
    (sr, sc), (pr, pc), (dr, dc) = conv.stride, conv.padding, conv.dilation
    shape = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for (n, k), s, p, d in zip(steps, conv.stride, conv.padding, conv.dilation, strict=True)
    ]
    result = np.empty((outputs, *shape), dtype=object)
    for o, r, c in product(range(outputs), range(shape[0]), range(shape[1])):
        first = o // (outputs // conv.groups) * per_group
        total = int(conv.bias[o])
        for i, a, b in product(range(per_group), range(kernel_rows), range(kernel_columns)):
            y, z = r * sr - pr + a * dr, c * sc - pc + b * dc
            if 0 <= y < rows and 0 <= z < columns:
                total += weights[o][i][a][b] * int(x[first + i, y, z])
        result[o, r, c] = total
    return result


@pytest.mark.parametrize("largest", [7, 2**20])
@pytest.mark.parametrize(
    "window",
    [
        {},
        {"stride": (2, 1), "padding": (1, 2)},
        {"dilation": (2, 1), "padding": (2, 0)},
        {"groups": 2, "padding": (3, 3), "stride": (3, 2)},
    ],
)
def test_convolution_is_its_definition(largest: int, window: dict) -> None:
    rng = np.random.default_rng(largest)
    weights = rng.integers(-largest, largest, (4, 2, 3, 2), endpoint=True)
    bias = rng.integers(-(2**40), 2**40, 4) if largest > 7 else rng.integers(-50, 50, 4)
    scale = dyadic(2.0 ** -(12 if largest > 7 else 1) * np.array([1, -1, 0.7, 0.3]))
    program = one_layer(weights, bias, scale, -(2**31), 2**31 - 1, rows=5, **window)
    images, conv = random_images(program, 2), program.operations[0]
    got = ReferenceEngine(program).trace(images)["conv"]
    b, c = scale.b.tolist(), scale.c.tolist()
    for image, codes in zip(images, got, strict=True):
        acc = loops(conv, image)
        wanted = [[(a * b[o] + (1 << c[o] >> 1)) >> c[o] for a in acc[o].flat] for o in range(4)]
        assert codes.reshape(4, -1).tolist() == np.clip(wanted, -(2**31), 2**31 - 1).tolist()


def test_accumulators_beyond_53_bits_are_exact() -> None:
    """2^30 * 2^24 + 1: float64 would drop the one."""
    wide = Threshold("wide", ("input",), np.array([128]), np.array([1, 2**24]))
    weights = Weights(np.array([[0, 1]], np.uint8), np.array([1, 2**30]), 1)
    flat = Flatten("flat", ("wide",))
    layer = Linear("layer", ("flat",), weights, np.array([-(2**54)]), dyadic(2.0**-3), -99, 99)
    program = Program("wide", (2, 1, 1), (wide, flat, layer), 1.0)
    for low, logit in ((0, 0), (255, 2**24 // 8)):
        images = np.array([low, 255], np.uint8).reshape(1, 2, 1, 1)
        assert ReferenceEngine(program).run(images).item() == min(logit, 99)
    odd = Linear("layer", ("flat",), weights, np.array([-(2**54) + 3]), dyadic(2.0**-3), -99, 99)
    program = Program("wide", (2, 1, 1), (wide, flat, odd), 1.0)
    images = np.array([0, 255], np.uint8).reshape(1, 2, 1, 1)
    assert ReferenceEngine(program).run(images).item() == 1  # (1 + 3) / 8 is a tie: half up


def test_sqrt2_weights_join_in_the_requantizer() -> None:
    weights = Weights(np.array([[0, 1]], np.uint8), np.array([[1, 0], [0, 1]]), 1)
    scale, odd = pair(1.0)
    layer = Linear("layer", ("flat",), weights, np.array([0]), scale, 0, 1000, odd=odd)
    program = Program("sqrt2", (2, 1, 1), (Flatten("flat", ("input",)), layer), 1.0)
    images = np.array([100, 100], np.uint8).reshape(1, 2, 1, 1)
    assert ReferenceEngine(program).run(images).item() == 241


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("size", [(4, 5), (7, 7), (3, 8)])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (2, 3, 1)])
def test_pools_equal_pytorchs(
    ceil: bool, size: tuple, kernel: int, stride: int, padding: int
) -> None:
    images = random_images(Program("", (2, *size), (), 1.0), 3)
    args = (kernel, kernel), (stride, stride), (padding, padding)
    x = torch.from_numpy(images).double()
    largest = F.max_pool2d(x, *args, ceil_mode=ceil).numpy()
    assert np.array_equal(run_one(MaxPool("pool", ("input",), *args, ceil), images), largest)
    total = F.avg_pool2d(x, *args, divisor_override=1).numpy()
    assert np.array_equal(run_one(SumPool("pool", ("input",), *args), images), total)


def test_max_pool_padding_never_wins() -> None:
    pixels = Requantize("low", ("input",), dyadic(-1.0), -255, 0)
    pool = MaxPool("pool", ("low",), (3, 3), (1, 1), (1, 1), False)
    program = Program("pool", (1, 3, 3), (pixels, pool, Flatten("flat", ("pool",))), 1.0)
    assert (ReferenceEngine(program).run(np.full((1, 1, 3, 3), 7, np.uint8)) == -7).all()


def test_small_operations_by_hand() -> None:
    images = np.array([0, 9, 10, 255], np.uint8).reshape(1, 2, 1, 2)
    steps = Threshold("steps", ("input",), np.array([1, 10, 255]), np.array([-8, -1, 0, 5]))
    assert run_one(steps, images).ravel().tolist() == [-8, -1, 0, 5]
    doubled = run_one(Repeat("r", ("input",), (2, 1)), images)
    assert doubled.tolist() == [[[[0, 9], [0, 9]], [[10, 255], [10, 255]]]]
    both = run_one(Concat("c", ("input", "input")), images)
    assert both.tolist() == [[[[0, 9]], [[10, 255]], [[0, 9]], [[10, 255]]]]
    norm = Normalize("n", ("input",), np.array([-2560, 128]), dyadic(1 / 256), -128, 127)
    assert run_one(norm, images).ravel().tolist() == [-10, -1, 11, 127]
    down = Normalize("n", ("input",), np.array([-2560, 0]), dyadic(1 / 256), -128, 127)
    relu = (down, Relu("relu", ("n",)), Flatten("flat", ("relu",)))
    engine = ReferenceEngine(Program("relu", (2, 1, 2), relu, 1.0))
    assert engine.run(images).tolist() == [[0, 0, 10, 127]]


def test_tables_products_selections_and_padding_by_hand() -> None:
    images = np.array([0, 9, 10, 255], np.uint8).reshape(1, 2, 1, 2)
    table = Lookup("l", ("input",), -1, np.arange(257)[:256] * 3)
    with pytest.raises(ProgramError, match="the table has -1 to 254"):
        run_one(table, images)
    table = Lookup("l", ("input",), 0, np.arange(256) * -3)
    assert run_one(table, images).ravel().tolist() == [0, -27, -30, -765]
    square = Multiply("m", ("input", "input"), dyadic(0.5), -9, 100)
    assert run_one(square, images).ravel().tolist() == [0, 41, 50, 100]
    chosen = Select("s", ("input",), np.array([1, ZEROS, 0, 1]))
    assert run_one(chosen, images)[0, :, 0].tolist() == [[10, 255], [0, 0], [0, 9], [10, 255]]
    padded = run_one(Pad("p", ("input",), (1, -1, 0, 1)), images)
    assert padded[0].tolist() == [[[0, 0], [0, 0]], [[0, 10], [0, 0]]]


@settings(max_examples=60, deadline=None)
@given(programs())
def test_proofs_hold_for_what_runs(program: Program) -> None:
    engine = ReferenceEngine(program)
    for name, tensor in engine.trace(random_images(program, 4)).items():
        lo, hi = engine.proof.ranges[name]
        assert lo <= tensor.min()
        assert tensor.max() <= hi
        assert tensor.shape[1:] == engine.proof.shapes[name]


@settings(max_examples=10, deadline=None)
@given(programs())
def test_batches_change_nothing(program: Program) -> None:
    engine, images = ReferenceEngine(program), random_images(program, 5)
    whole = engine.run(images)
    assert whole.dtype == np.int32
    assert np.array_equal(whole, np.concatenate([engine.run(image[None]) for image in images]))
    assert engine.run(images[:0]).shape == (0, whole.shape[1])


def test_wrong_images_are_refused() -> None:
    program = one_layer(np.ones((1, 1, 1, 1), np.int64), np.array([0]), ONE)
    for images in (np.zeros((1, 1, 4, 4)), np.zeros((1, 4, 4), np.uint8)):
        with pytest.raises(UserError, match="the program takes uint8"):
            ReferenceEngine(program).run(images)
