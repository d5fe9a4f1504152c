"""A program of ResNet-20's size: 3 x 3 layers (16, 32, 64 channels) and residual additions."""

import numpy as np

from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import (
    Add,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    Normalize,
    Operation,
    Program,
    Requantize,
    SumPool,
    Weights,
)


def resnet20(bits: int = 4, size: int = 28, seed: int = 0) -> Program:
    """Random `bits`-bit weights, 8-bit activations, a 16-bit residual stream, one grey channel."""
    rng = np.random.default_rng(seed)
    levels = np.arange(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1))

    def weights(*shape: int) -> Weights:
        return Weights(rng.integers(0, len(levels), shape).astype(np.uint8), levels, bits)

    def scale(fan_in: int, outputs: int) -> Dyadic:
        return dyadic(rng.uniform(1, 2, outputs) / (np.abs(levels).mean() * fan_in**0.5))

    operations: list[Operation] = [
        Normalize("image", ("input",), np.array([-18432]), dyadic(1 / 350), -128, 127)
    ]

    def conv(name: str, source: str, shape: tuple[int, ...], stride: int, top: int) -> str:
        bias, padding = rng.integers(-500, 500, shape[0]), (shape[2] // 2,) * 2
        lo, dn = -top - 1 if top > 255 else 0, scale(int(np.prod(shape[1:])), shape[0])
        operations.append(
            Conv(
                name,
                (source,),
                weights(*shape),
                bias,
                dn,
                lo,
                top,
                stride=(stride, stride),
                padding=padding,
            )
        )
        return name

    channels, stream = 16, conv("stem", "image", (16, 1, 3, 3), 1, 255)
    for block in range(9):
        inner, stride = 16 << block // 3, 2 if block in (3, 6) else 1
        here = f"block{block}"
        first = conv(f"{here}.conv1", stream, (inner, channels, 3, 3), stride, 255)
        second = conv(f"{here}.conv2", first, (inner, inner, 3, 3), 1, 2**15 - 1)
        if stride == 2:
            side = conv(f"{here}.down", stream, (inner, channels, 1, 1), stride, 2**15 - 1)
        else:
            side = f"{here}.side"
            operations.append(Requantize(side, (stream,), dyadic(1.0), -(2**15), 2**15 - 1))
        operations.append(Add(f"{here}.add", (second, side), 0, 2**15 - 1))
        operations.append(Requantize(here, (f"{here}.add",), dyadic(0.7), 0, 255))
        channels, stream = inner, here
    grid = (size // 4, size // 4)
    operations += [
        SumPool("sum", (stream,), grid, grid, (0, 0)),
        Requantize("mean", ("sum",), dyadic(1 / (grid[0] * grid[1])), 0, 255),
        Flatten("features", ("mean",)),
        Linear(
            "logits",
            ("features",),
            weights(10, 64),
            rng.integers(-99, 99, 10),
            dyadic(0.1),
            -(2**15),
            2**15 - 1,
        ),
    ]
    return Program("resnet20", (1, size, size), tuple(operations), 0.01)
