"""Convolutions of every kind equal the reference on every path of the compiled engine."""

import numpy as np
import pytest
from tests.integer.engines.compiled.compiled_paths import assert_equal, layer
from tests.integer.random_programs import random_images

from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import (
    Concat,
    Conv,
    Flatten,
    Normalize,
    Operation,
    Program,
    Requantize,
)


def one_convolution(
    seed=0,
    size=(9, 13),
    channels=(20, 36),
    kernel=(3, 3),
    codes=(0, 255),
    weights=(-127, 127),
    out=(0, 255),
    planes=1,
    **window,
) -> Program:
    """Normalize, one Conv of the given kind, a sum over all pixels."""
    rng = np.random.default_rng(seed)
    shape = (channels[1], channels[0] // window.get("groups", 1), *kernel)
    stored = layer(rng, shape, *weights, planes=planes)
    step = (out[1] - out[0]) / (max(abs(np.array(codes))) * max(abs(np.array(weights))))
    ratio = rng.uniform(0.5, 2, channels[1]) * step / np.sqrt(np.prod(shape[1:])) / planes
    scale, odd = pair(ratio) if planes == 2 else (dyadic(ratio), None)
    bias = rng.integers(-1000, 1000, channels[1])
    pixel = dyadic(np.full(channels[0], (codes[1] - codes[0]) / 65280))
    base = np.full(channels[0], int(codes[0] / (codes[1] - codes[0]) * 65280))
    operations = (
        Normalize("codes", ("input",), base, pixel, *codes),
        Conv("conv", ("codes",), stored, bias, scale, *out, odd=odd, **window),
        Flatten("logits", ("conv",)),
    )
    return Program("one", (channels[0], *size), operations, 1.0)


CONVOLUTIONS = {
    "unsigned": {},
    "signed": {"codes": (-128, 127)},
    "narrow": {"channels": (16, 16), "size": (12, 30)},
    "one_channel": {"channels": (1, 5), "size": (28, 28)},
    "strided": {"stride": (2, 2), "padding": (1, 1)},
    "stem": {"channels": (3, 33), "kernel": (7, 7), "stride": (2, 2), "padding": (3, 3)},
    "signed_stem": {"channels": (3, 8), "kernel": (5, 5), "stride": (3, 1), "codes": (-128, 127)},
    "padded": {"padding": (1, 1), "codes": (-128, 127)},
    "wide_padding": {"padding": (3, 4)},
    "flat_kernel": {"kernel": (1, 7), "padding": (0, 3)},
    "tall_kernel": {"kernel": (7, 1), "padding": (3, 0)},
    "dilated": {"dilation": (2, 3), "padding": (2, 3)},
    "pointwise": {"kernel": (1, 1), "channels": (70, 130)},
    "pointwise_strided": {"kernel": (1, 1), "stride": (2, 2)},
    "grouped": {"groups": 4},
    "depthwise": {"channels": (24, 24), "groups": 24, "padding": (1, 1)},
    "inq_five_bits": {"weights": (-128, 128)},
    "nine_bits": {"weights": (-255, 255), "codes": (-128, 127)},
    "sixteen_bit_weights": {"weights": (-2000, 2000), "channels": (4, 18)},
    "sixteen_bit_codes": {"codes": (-5000, 5000), "channels": (5, 18), "padding": (1, 1)},
    "sixteen_bit_output": {"out": (-32767, 32767)},
    "large_scale": {"weights": (-1, 1), "channels": (2, 18), "out": (-(2**30), 2**30)},
    "sqrt2": {"planes": 2, "weights": (-16, 16)},
    "one_pixel": {"size": (1, 1), "padding": (1, 1)},
    "one_pixel_column": {"size": (1, 1), "kernel": (3, 1), "padding": (1, 0)},
    "one_pixel_strided": {"size": (1, 1), "kernel": (1, 1), "stride": (2, 2)},
    "one_pixel_padded": {"size": (1, 1), "kernel": (1, 1), "stride": (3, 3), "padding": (1, 1)},
    "wide_accumulator": {"weights": (-30000, 30000), "codes": (0, 30000)},
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolutions_of_every_kind(kind):
    program = one_convolution(**CONVOLUTIONS[kind])
    assert_equal(program, random_images(program, 3))


@pytest.mark.parametrize("codes", [(0, 255), (-128, 127), (-5000, 5000)])
@pytest.mark.parametrize("outputs", [16, 32, 48, 64, 75])
def test_tiles_of_every_size(outputs, codes):
    """Rows from one pixel to more than a tile's, one after another and with a border between."""
    for width in (*range(1, 16), 27, 28, 29, 57):
        for kernel, padding in (((1, 1), (0, 0)), ((3, 3), (1, 1))):
            program = one_convolution(
                size=(2, width), channels=(4, outputs), kernel=kernel, padding=padding, codes=codes
            )
            assert_equal(program, random_images(program, 2))


@pytest.mark.parametrize("bounds", [(0, 255), (0, 9), (-7, 100), (-128, 127), (-300, 2**15 - 1),
                                    (-(2**15), 0), (-(2**20), 2**20)])  # fmt: skip
def test_rescalings_of_long_rows(bounds):
    """By themselves, from narrow and wide codes, with and without a shift up."""
    wide = Normalize("wide", ("input",), np.zeros(3, int), dyadic(0.3), -20000, 20000)
    operations: list[Operation] = [wide]
    for source, ratio in (("input", 1.7), ("wide", 0.9), ("wide", 0.01), ("wide", 40.0)):
        name = f"{source}_{ratio}"
        operations.append(Requantize(name, (source,), dyadic(ratio), *bounds))
    made = tuple(operation.name for operation in operations[1:])
    operations += [Concat("all", made), Flatten("logits", ("all",))]
    program = Program("rescale", (3, 2, 50), tuple(operations), 1.0)
    assert_equal(program, random_images(program, 2))


def bordered_pixels() -> Program:
    """Layers whose batch are the pixels of one product, before layers that read a border."""
    rng = np.random.default_rng(1)

    def conv(name, source, channels, kernel, **window):
        weights = layer(rng, (24, channels, *kernel), -127, 127)
        scale = dyadic(rng.uniform(0.5, 1, 24) / 127)
        return Conv(name, (source,), weights, rng.integers(-9, 9, 24), scale, 0, 255, **window)

    operations = (
        conv("a", "input", 3, (4, 4)),
        conv("b", "a", 24, (1, 1)),
        conv("tall", "b", 24, (3, 1), padding=(1, 0)),
        conv("c", "tall", 24, (1, 1)),
        conv("wide", "c", 24, (1, 1), padding=(0, 3)),
        conv("d", "wide", 24, (1, 7)),
        conv("e", "d", 24, (1, 1)),
        conv("again", "e", 24, (1, 3), padding=(0, 3)),
        Flatten("logits", ("again",)),
    )
    return Program("pixels", (3, 4, 4), operations, 1.0)


def test_one_pixel_images_keep_their_borders():
    assert_equal(bordered_pixels(), random_images(bordered_pixels(), 8))
