"""Sum pooling's windows against PyTorch's average pooling: exact, whatever the counts."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.operations import AdaptiveSumPool, Flatten, Program, SumPool
from dyadic.integer.program.requirements import ProgramError
from dyadic.integer.program.windows import divisor

SIZES = st.tuples(st.integers(1, 11), st.integers(1, 11))


def sums(pool: SumPool | AdaptiveSumPool, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Random pixels of two images, and what the reference engine makes of them."""
    program = Program("pool", (2, *size), (pool, Flatten("flat", ("pool",))), 1.0)
    images = np.random.default_rng(0).integers(0, 256, (2, 2, *size), np.uint8)
    return images, ReferenceEngine(program).trace(images)["pool"]


def assert_averages(found: np.ndarray, expected: torch.Tensor, times: int) -> None:
    """Integer sums are the averages times the divisor; float64 holds both to far below one."""
    scaled = expected * times
    assert torch.equal(scaled.round().long(), torch.from_numpy(found))
    assert float((scaled - scaled.round()).abs().max()) < 1e-6


@given(size=SIZES, data=st.data())
def test_average_pooling(size, data):
    kernel = tuple(data.draw(st.integers(1, n)) for n in size)
    stride = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel)
    ceil, inside = data.draw(st.booleans()), data.draw(st.booleans())
    counted = "image" if inside else "padded"
    pool = SumPool("pool", ("input",), kernel, stride, padding, ceil, counted)
    images, found = sums(pool, size)
    x = torch.from_numpy(images).double()
    expected = F.avg_pool2d(x, kernel, stride, padding, ceil, not inside)
    assert_averages(found, expected, divisor(pool, size))
    if not ceil and not inside:
        assert np.array_equal(found, sums(SumPool("pool", *pool_fields(pool)), size)[1])


def pool_fields(pool: SumPool) -> tuple:
    """The same window, counted by its whole kernel."""
    return pool.inputs, pool.kernel, pool.stride, pool.padding


@given(size=SIZES, data=st.data())
def test_adaptive_average_pooling(size, data):
    pool = AdaptiveSumPool("pool", ("input",), data.draw(SIZES))
    images, found = sums(pool, size)
    expected = F.adaptive_avg_pool2d(torch.from_numpy(images).double(), pool.size)
    assert_averages(found, expected, divisor(pool, size))


def test_counts_without_a_common_multiple_in_int32_are_refused():
    pool = SumPool("pool", ("input",), (41, 1), (1, 1), (20, 0), counted="image")
    program = Program("pool", (1, 41, 1), (pool, Flatten("flat", ("pool",))), 1.0)
    with pytest.raises(ProgramError, match="no common multiple in int32"):
        prove(program)
