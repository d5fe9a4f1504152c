"""Comparing the compiled engine with the reference on every path; random weights."""

import numpy as np

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.operations import Program, Weights

# The portable path is there on every processor; the others are tested where they exist.
PATHS = available_paths()


def assert_equal(program: Program, images: np.ndarray) -> None:
    """Every tensor of the trace, and the logits of the fused run, on every path."""
    expected = ReferenceEngine(program).trace(images)
    for path in PATHS:
        engine = CompiledEngine(program, threads=2, path=path)
        made = engine.trace(images)
        assert made.keys() == expected.keys()
        for name, tensor in expected.items():
            assert np.array_equal(made[name], tensor), (path, name)
        logits = engine.run(images)
        assert logits.dtype == np.int32
        assert np.array_equal(logits, expected[program.operations[-1].name]), path


def layer(rng, shape, low, high, planes=1) -> Weights:
    """Random weights that reach both ends."""
    codes = rng.integers(0, high - low + 1, shape)
    codes.flat[:2] = 0, high - low
    levels = np.arange(low, high + 1)
    levels = levels if planes == 1 else np.stack([levels, levels[::-1]])
    bits = int(high - low).bit_length()
    if planes == 2:
        order = np.argsort(levels[0] + levels[1] * 2**0.5)
        levels = levels[:, order]
    return Weights(codes.astype(np.uint16), levels.astype(np.int64), bits)
