"""Values of JSON: of exactly their field's type and range, from both sides of every bound."""

import math
from typing import Any

import numpy as np
import pytest

from dyadic.integer.program.decoding import decode_fields
from dyadic.integer.program.operations import Dyadic, Weights
from dyadic.integer.program.requirements import ProgramError

LARGEST = 2**63 - 1  # beyond it NumPy's int64 overflows
LONGEST = "x" * 2000
MOST = ["x"] * 2**16
SCALE = {"b": [2**30], "c": [31]}
WEIGHTS = {"shape": [1], "bits": 1, "offset": 0, "levels": [1]}


def decoded(hint: Any, value: Any) -> Any:
    return decode_fields({"field": value}, {"field": hint}, "here")["field"]


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, LARGEST),
        (int, -LARGEST),
        (float, 3),
        (float, 5e-324),
        (float, math.nextafter(2.0**63, 0)),
        (str, LONGEST),
        (str, ""),
        (bool, False),
        (list, [None]),
        (Dyadic | None, None),
    ],
)
def test_what_fits_stays_as_it_is(hint: Any, value: Any) -> None:
    assert decoded(hint, value) is value


@pytest.mark.parametrize("value", [[], [1, 2], [[1, 2], [3, 4]], [[], []], [LARGEST, -LARGEST]])
def test_lists_of_integers_are_int64(value: list) -> None:
    found = decoded(np.ndarray, value)
    assert found.dtype == np.int64
    assert found.tolist() == value


@pytest.mark.parametrize(
    ("hint", "value", "wanted"),
    [
        (tuple[int, int], [1, 2], (1, 2)),
        (tuple[str, ...], [], ()),
        (tuple[str, ...], MOST, tuple(MOST)),
    ],
)
def test_lists_become_tuples(hint: Any, value: list, wanted: tuple) -> None:
    assert decoded(hint, value) == wanted


def test_fields_within_a_field_are_decoded_too() -> None:
    assert decoded(Dyadic, SCALE).b.tolist() == decoded(Dyadic | None, SCALE).b.tolist() == [2**30]
    assert decoded(Weights, WEIGHTS)["shape"] == (1,)


@pytest.mark.parametrize(
    ("hint", "values"),
    [
        (int, [LARGEST + 1, -LARGEST - 1, True, 1.0, "1", None]),
        (float, [0, -1.0, 2.0**63, 10**400, math.inf, -math.inf, math.nan, True, "1", None]),
        (str, [LONGEST + "x", "two\nlines", "\ud800", 1, None]),
        (bool, [0, 1, "true", None]),
        (list, [{}, "", None]),
        (tuple[int, int], [[1], [1, 2, 3], [1, "2"], [1, None], "12", {"1": 2}, None]),
        (tuple[str, ...], [[*MOST, "x"], [1], "x"]),
        (np.ndarray, [3, None, [True], [1.0], [None], [LARGEST + 1], [-LARGEST - 1]]),
        (np.ndarray, [[[1], [2, 3]], [1, [2]], [[1], 2], [[[1]]], [[1.0]]]),
        (Dyadic, [None, [], SCALE | {"more": 1}, {"b": [1]}, SCALE | {"b": 1}]),
        (Dyadic | None, [[], {}, False]),
        (Weights, [None, WEIGHTS | {"bits": 1.0}, {"shape": [1]}]),
    ],
)
def test_what_does_not_fit_is_refused_by_the_fields_name(hint: Any, values: list) -> None:
    for value in values:
        with pytest.raises(ProgramError, match=r"^here: field: "):
            decoded(hint, value)


@pytest.mark.parametrize("entry", [[], None, "field", {}, {"other": 1}, {"field": 1, "more": 1}])
def test_fields_are_all_there_and_no_others(entry: Any) -> None:
    with pytest.raises(ProgramError, match=r"^here: fields .*; field expected$"):
        decode_fields(entry, {"field": int}, "here")
