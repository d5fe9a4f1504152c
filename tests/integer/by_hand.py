"""A program of one layer, for tests by hand."""

import numpy as np

from dyadic.integer.program.operations import (
    Conv,
    Dyadic,
    Flatten,
    Program,
    Weights,
)


def one_layer(
    weights: np.ndarray, bias: np.ndarray, scale: Dyadic, lo: int = -128, hi: int = 127, **extra
) -> Program:
    """A Conv of these integer weights on the pixels, flattened: a program for tests by hand."""
    levels, codes = np.unique(weights, return_inverse=True)
    stored = Weights(
        codes.reshape(weights.shape).astype(np.uint16),
        levels.astype(np.int64),
        max(1, int(len(levels) - 1).bit_length()),
    )
    rows = extra.pop("rows", 4)
    conv = Conv("conv", ("input",), stored, bias, scale, lo, hi, **extra)
    channels = weights.shape[1] * conv.groups
    return Program("by_hand", (channels, rows, rows), (conv, Flatten("flat", ("conv",))), 1.0)
