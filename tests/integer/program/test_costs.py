"""What an operation costs, counted by hand, and the limits from both sides."""

import numpy as np
import pytest

from dyadic.integer.program import operations as ops
from dyadic.integer.program.costs import Costs
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.limits import ELEMENTS, WORK
from dyadic.integer.program.requirements import ProgramError, Shape

WEIGHTS = ops.Weights(np.zeros((7, 2, 3, 5), np.uint8), np.array([1]), 1)
CONV = ("y", ("x",), WEIGHTS, np.zeros(7, np.int64), dyadic(1.0), -9, 9)
WINDOW = ("y", ("x",), (3, 2), (1, 1))


@pytest.mark.parametrize(
    ("operation", "output", "elements", "work"),
    [
        (ops.Conv(*CONV), (7, 8, 9), 504, 504 * 30),
        (ops.Conv(*CONV, padding=(1, 2)), (7, 8, 9), 504 + 4 * 12 * 15, 504 * 30),
        (ops.MaxPool(*WINDOW, (0, 0), False), (4, 8, 9), 288, 288 * 6),
        (ops.SumPool(*WINDOW, (0, 1)), (4, 8, 9), 288 + 4 * 10 * 13, 288 * 6),
        (ops.AdaptiveSumPool("y", ("x",), (3, 4)), (4, 3, 4), 48, 48 * 5 * 4),
        (ops.Threshold("y", ("x",), np.arange(5), np.arange(6)), (4, 10, 11), 440, 440 * 6),
        (ops.Pad("y", ("x",), (1, 1, 1, 1)), (4, 12, 13), 624, 624),
        (ops.Relu("y", ("x",)), (4, 10, 11), 440, 440),
    ],
)
def test_elements_and_steps_are_counted(
    operation: ops.Operation, output: Shape, elements: int, work: int
) -> None:
    costs = Costs((4, 10, 11))
    for times in (1, 2):
        costs.add(operation, output, ((4, 10, 11),))
        assert (costs.elements, costs.work) == (440 + times * elements, times * work)


def test_memory_and_work_have_a_limit() -> None:
    relu, first = ops.Relu("y", ("x",)), (2**14, 2**14)
    costs = Costs(first)
    costs.add(relu, first, (first,))
    assert costs.elements == ELEMENTS
    with pytest.raises(ProgramError, match="elements of memory; 536870912 at most"):
        costs.add(relu, (1,), ((1,),))
    steps = ops.SumPool("y", ("x",), (2**10, 2**10), (1, 1), (0, 0))
    costs = Costs((1,))
    costs.add(steps, (2**20,), ((1, 1, 1),))
    assert costs.work == WORK
    with pytest.raises(ProgramError, match="steps of work; 1099511627776 at most"):
        costs.add(relu, (1,), ((1,),))
