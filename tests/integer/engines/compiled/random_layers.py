"""Random layers for every path and algorithm of the compiled engine: one integer seeds one."""

import numpy as np

from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import (
    Add,
    Conv,
    Flatten,
    Normalize,
    Operation,
    Program,
    Requantize,
    Weights,
)

CODES = [(0, 15), (0, 255), (-128, 127), (-8, 7), (0, 42), (0, 1), (-21, 21), (-5000, 5000)]
LARGEST_WEIGHTS = [1, 7, 8, 14, 127, 128, 255, 2000]
OUTPUTS = [(0, 255), (0, 15), (-128, 127), (-(2**15), 2**15 - 1), (-(2**20), 2**20)]


def random_layer(seed: int) -> Program:
    """A convolution on random codes, with a residual addition and a rescaling behind it or not."""
    rng = np.random.default_rng(seed)
    groups = int(rng.choice([1, 1, 1, 2, 4, 8]))
    inputs, outputs = (groups * int(rng.integers(1, 1 + 72 // groups)) for _ in range(2))
    if rng.random() < 0.15:
        groups = outputs = inputs
    kernel = (3, 3) if rng.random() < 0.6 else tuple(rng.integers(1, 6, 2).tolist())
    plain = rng.random() < 0.6
    stride = (1, 1) if plain else tuple(rng.integers(1, 4, 2).tolist())
    dilation = (1, 1) if plain else tuple(rng.integers(1, 3, 2).tolist())
    size = rng.integers(1, 18, 2)
    least = [
        -(-max(0, d * (k - 1) + 1 - n) // 2) for d, k, n in zip(dilation, kernel, size, strict=True)
    ]
    padding = tuple(int(p + rng.integers(0, 3)) for p in least)
    codes = CODES[rng.integers(len(CODES))]
    largest = int(rng.choice(LARGEST_WEIGHTS))
    weights = _weights(rng, (outputs, inputs // groups, *kernel), -largest, largest)
    reach = max(map(abs, codes)) * largest * np.prod(weights.codes.shape[1:]) ** 0.5
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    operations: list[Operation] = [_codes(inputs, codes)]
    if rng.random() < 0.3:
        operations += _residual(rng, weights, reach, outputs, inputs, window)
    else:
        out = OUTPUTS[rng.integers(len(OUTPUTS))]
        operations.append(_conv(rng, "conv", weights, reach, out, **window))
    operations.append(Flatten("logits", (operations[-1].name,)))
    return Program("layer", (inputs, *size.tolist()), tuple(operations), 1.0)


def _codes(channels: int, codes: tuple[int, int]) -> Normalize:
    span = codes[1] - codes[0]
    base = np.full(channels, int(codes[0] / span * 65280))
    return Normalize("codes", ("input",), base, dyadic(np.full(channels, span / 65280)), *codes)


def _weights(rng, shape: tuple[int, ...], low: int, high: int) -> Weights:
    """Of the interval, or of its ends alone, where bounds are reached."""
    count = high - low + 1
    codes = (
        rng.integers(0, count, shape) if rng.random() < 0.7 else rng.choice([0, count - 1], shape)
    )
    levels = np.arange(low, high + 1) * int(rng.choice([1, 1, 1, 16, 7]))
    return Weights(codes.astype(np.uint16), levels, int(count - 1).bit_length())


def _conv(rng, name, weights, reach, out, **window) -> Conv:
    outputs = len(weights.codes)
    ratio = rng.uniform(0.3, 3, outputs) * (out[1] - out[0]) / reach
    bias = rng.integers(-int(reach) - 1, int(reach) + 1, outputs)
    if rng.random() < 0.15:
        levels = np.stack([weights.levels, np.zeros_like(weights.levels)])
        both = Weights(weights.codes, levels, weights.bits)
        scale, odd = pair(ratio)
        return Conv(name, ("codes",), both, bias, scale, *out, odd=odd, **window)
    return Conv(name, ("codes",), weights, bias, dyadic(ratio), *out, **window)


def _residual(rng, weights, reach, outputs, inputs, window) -> list[Operation]:
    """Two layers of one shape, added, and one or two rescalings; or the sum itself."""
    wide = (-(2**15), 2**15 - 1)
    other = _weights(rng, weights.codes.shape, -7, 7)
    made: list[Operation] = [
        _conv(rng, "side", other, reach, wide if rng.random() < 0.7 else (-100, 100), **window),
        _conv(rng, "conv", weights, reach, wide, **window),
        Add("sum", ("conv", "side"), *((0, 2**31 - 1) if rng.random() < 0.5 else (-3000, 2500))),
    ]
    if rng.random() < 0.8:
        made.append(Requantize("next", ("sum",), dyadic(rng.uniform(1e-3, 2)), 0, 255))
    return made
