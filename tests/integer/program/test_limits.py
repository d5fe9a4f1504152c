"""Every number of a program has a range: its ends are proved, what lies beyond is refused."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tests.integer.program.pieces import HALF, after_pixels, layer, weights

from dyadic.integer.program.bounds import prove
from dyadic.integer.program.limits import ELEMENTS, GEOMETRY
from dyadic.integer.program.operations import (
    INT32,
    AdaptiveSumPool,
    Dyadic,
    Flatten,
    Lookup,
    MaxPool,
    Operation,
    Pad,
    Program,
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
)
from dyadic.integer.program.requirements import ProgramError

X = ("input",)
LO, HI = INT32


def scaled(b: int, c: int) -> Program:
    return layer(scale=Dyadic(np.array([b]), np.array([c])))


def one(operation: Operation) -> Program:
    return after_pixels(operation, shape=(1, 4, 5))


def table(first: int, last: int, code: int, other: int = 5) -> Program:
    """A table of 4 and others; only one code is ever looked up."""
    values = np.where(np.arange(first, last + 1) == code, 4, other)
    entries = Lookup("table", ("code",), first, values)
    return after_pixels(Requantize("code", X, HALF, code, code), entries)


def thresholds(places: list[int], values: list[int]) -> Program:
    return one(Threshold("y", X, np.array(places), np.array(values)))


def relus(count: int) -> Program:
    names = ["input", *map(str, range(1, count))]
    chain = (Relu(b, (a,)) for a, b in pairwise(names))
    return Program("p", (1, 1, 1), (*chain, Flatten("flat", (names[-1],))), 1.0)


EDGES: dict[str, tuple[Callable[[int], Program], list[int], list[int]]] = {
    "stride": (lambda n: layer(stride=(n, 1)), [1, 2**15], [-1, 0, 2**15 + 1]),
    "dilation": (lambda n: layer(dilation=(1, n)), [1, 2**15], [-1, 0, 2**15 + 1]),
    "padding": (lambda n: layer(padding=(n, 0)), [0, 2**15], [-1, 2**15 + 1]),
    "groups": (lambda n: layer(groups=n), [1], [-1, 0, 2]),
    "lo": (lambda n: layer(lo=n, hi=5), [LO, 5], [LO - 1, 6]),
    "hi": (lambda n: layer(lo=-5, hi=n), [-5, HI], [-6, HI + 1]),
    "c": (lambda n: scaled(2**30, n), [0, 62], [-1, 63]),
    "b": (lambda n: scaled(n, 31), [2**30, 2**31 - 1, 0], [2**30 - 1, 2**31]),
    "-b": (lambda n: scaled(-n, 31), [2**30, 2**31 - 1], [2**30 - 1, 2**31]),
    "b of c = 62": (lambda n: scaled(n, 62), [1, -1], [2**31, -(2**31)]),
    "bias": (lambda n: layer(bias=np.array([n, 0])), [2**61, -(2**61)], [-(2**63), 2**63 - 1]),
    "bits": (lambda n: layer(weights=weights([0, 1], [0, 1], n)), [1, 16], [0, 17]),
    "levels of 3 bits": (lambda n: layer(weights=weights([0, 1], range(n), 3)), [2, 8], [0, 1, 9]),
    "level": (lambda n: layer(weights=weights([0, 1], [0, n])), [1, HI], [0, HI + 1]),
    "-level": (lambda n: layer(weights=weights([0, 1], [n, 0])), [-1, LO], [0, LO - 1]),
    "entries": (lambda n: one(Lookup("y", X, 0, np.arange(n))), [256], [0, 255, 257]),
    "entry": (lambda n: table(0, 1, 0, other=n), [LO, HI], [LO - 1, HI + 1]),
    "first": (lambda n: table(n, LO, LO), [LO], [LO - 1]),
    "last": (lambda n: table(HI, n, HI), [HI], [HI - 1, HI + 1]),
    "operations": (relus, [1, 2**12], [2**12 + 1]),
    "letters": (lambda n: one(Relu("x" * n, X)), [1, 200], [0, 201]),
    "rows": (lambda n: one(SumPool("y", X, (n, 1), (1, 1), (0, 0))), [1, 4], [-1, 0, 5]),
    "columns": (lambda n: one(MaxPool("y", X, (1, n), (1, 1), (0, 0), True)), [1, 5], [0, 6]),
    "step": (lambda n: one(MaxPool("y", X, (1, 1), (n, 1), (0, 0), True)), [2**15], [0, 2**15 + 1]),
    "border": (lambda n: one(MaxPool("y", X, (3, 3), (1, 1), (n, 1), True)), [0, 1], [-1, 2]),
    "half": (lambda n: one(SumPool("y", X, (2, 2), (1, 1), (0, n))), [0, 1], [-1, 2]),
    "left": (lambda n: one(Pad("y", X, (n, 0, 0, 0))), [2**15, -4], [2**15 + 1, -5]),
    "right": (lambda n: one(Pad("y", X, (-2, n, 0, 0))), [2**15, -2], [2**15 + 1, -3]),
    "top": (lambda n: one(Pad("y", X, (0, 0, n, 2))), [2**15, -3], [2**15 + 1, -4]),
    "bottom": (lambda n: one(Pad("y", X, (0, 0, -1, n))), [2**15, -2], [2**15 + 1, -3]),
    "times": (lambda n: one(Repeat("y", X, (n, 1))), [1, 2**15], [0, 2**15 + 1]),
    "grid": (lambda n: one(AdaptiveSumPool("y", X, (1, n))), [1, 2**15], [0, 2**15 + 1]),
    "channel": (lambda n: one(Select("y", X, np.array([n]))), [-1, 0], [-2, 1]),
    "channels": (lambda n: one(Select("y", X, np.zeros(n, np.int64))), [1], [0]),
    "input": (lambda n: after_pixels(Relu("y", X), shape=(1, n, 1)), [1], [0, -1]),
    "memory": (
        lambda n: after_pixels(Relu("y", X), shape=(n, 1, 1)),
        [ELEMENTS // 3],
        [ELEMENTS // 3 + 1],
    ),
    "axes": (lambda n: replace(layer(), input_shape=(1, 4, 4, 4)[:n]), [3], [2, 4]),
    "threshold": (lambda n: thresholds([n, 7], [1, 2, 3]), [LO, 7], [LO - 1, 8]),
    "value": (lambda n: thresholds([300], [3, n]), [3, HI], [2, HI + 1]),
}


@pytest.mark.parametrize("number", EDGES)
def test_the_ends_of_a_range_are_proved_and_no_more(number: str) -> None:
    make, inside, outside = EDGES[number]
    for n in inside:
        assert prove(make(n)).program
    for n in outside:
        with pytest.raises(ProgramError):
            prove(make(n))


def test_the_places_of_an_image_fit_31_bits() -> None:
    """`n + 2 padding + dilation * kernel`, as C counts rows and columns."""
    assert ELEMENTS + 2 * GEOMETRY + GEOMETRY * GEOMETRY < 2**31
