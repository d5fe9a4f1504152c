"""Winograd's algorithms: refused exactly where the bounds stop proving them."""

import numpy as np
import pytest

from dyadic.integer.engines.compiled.winograd import ALGORITHMS, input_ranges, patches
from dyadic.integer.program.bounds import Accumulator
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Conv, Weights

BYTES = "winograd F(4,3) in bytes"
SMALL = Accumulator(np.array([[0]]), np.array([[1]]), split=False)


def names(inputs, levels, bound=SMALL, **window):
    codes = np.zeros((1, 1, 3, 3), np.uint8)
    codes[..., 1:, :2] = len(levels) - 1
    weights = Weights(codes, np.array(levels), 8)
    conv = Conv("conv", ("x",), weights, np.zeros(1, int), dyadic(1.0), 0, 255, **window)
    return [patch.algorithm.name for patch in patches(conv, inputs, bound)]


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
def test_each_point_stays_in_its_range_and_reaches_its_ends(algorithm):
    low, high = input_ranges(algorithm, (-3, 5))
    both = np.kron(algorithm.inputs, algorithm.inputs)
    ends = [np.where(both > 0, a, b) for a, b in ((-3, 5), (5, -3))]
    assert np.array_equal((both * ends[0]).sum(1), low)
    assert np.array_equal((both * ends[1]).sum(1), high)


def test_bytes_hold_four_bits_and_no_more():
    assert BYTES in names((0, 15), range(-7, 8))
    assert BYTES not in names((0, 16), range(-7, 8))
    assert names((0, 63), range(-7, 8))[0] == "winograd F(2,3)"
    assert names((0, 64), range(-7, 8)) == ["winograd F(4,3)"]


def test_weights_fit_bytes_but_for_a_factor_of_all():
    assert BYTES in names((0, 15), [-100, 0, 100])
    assert BYTES not in names((0, 15), [-100, -99, 0, 100])


def test_a_sum_that_is_multiplied_fits_32_bits():
    for algorithm in ALGORITHMS:
        limit = 2**31 // algorithm.multiple
        just, beyond = (
            Accumulator(np.array([[0]]), np.array([[largest]]), split=False)
            for largest in (limit - 1, limit)
        )
        assert algorithm.name in names((0, 15), [-1, 0, 1], just)
        assert algorithm.name not in names((0, 15), [-1, 0, 1], beyond)


@pytest.mark.parametrize("window", [{"stride": (2, 2)}, {"dilation": (1, 2)}])
def test_strides_and_dilations_are_left_alone(window):
    assert names((0, 15), [-1, 0, 1], **window) == []
