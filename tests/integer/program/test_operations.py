"""Weights unfolded from their stored codes, and what fields are where they are left out."""

import numpy as np
import pytest

from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Conv, SumPool, Weights


@pytest.mark.parametrize("level", [2**14 - 1, 2**14, -(2**14) + 1, -(2**14), 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("planes", [1, 2])
def test_small_weights_take_16_bits_where_twice_their_size_does(level: int, planes: int) -> None:
    levels = np.array([[level, 3], [1, 2]])[:planes]
    stored = Weights(np.array([[1, 0, 0]], np.uint8), levels if planes == 2 else levels[0], 1)
    assert [w.tolist() for w in stored.planes] == [[[3, level, level]], [[2, 1, 1]]][:planes]
    small = -(2**15) < 2 * level < 2**15
    assert {w.dtype for w in stored.planes} == {np.dtype(np.int16 if small else np.int64)}


def test_what_is_left_out_is_the_plainest() -> None:
    window = ("y", ("x",), (2, 2), (1, 1), (0, 0))
    assert SumPool(*window) == SumPool(*window, ceil=False, counted="kernel")
    stored = Weights(np.zeros((1, 1, 1, 1), np.uint8), np.array([1]), 1)
    conv = Conv("y", ("x",), stored, np.array([0]), dyadic(1.0), 0, 1)
    assert (conv.stride, conv.padding, conv.dilation, conv.groups) == ((1, 1), (0, 0), (1, 1), 1)
    assert conv.odd is None
