"""Programs of one or two operations, for what is refused and what just fits."""

from dataclasses import replace

import numpy as np
from tests.integer.by_hand import one_layer

from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Flatten, Operation, Program, Weights

HALF = dyadic(0.5)


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
