"""Identifiers of any printable names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.integer.program.names import identifiers

LETTERS = st.sampled_from(["a", "_", "0", "2", ".", "é", "٣"])  # the last is a digit, not of ASCII
NAMES = st.lists(st.lists(LETTERS, min_size=1, max_size=4).map("".join), max_size=8)


@given(NAMES, NAMES)
def test_identifiers_are_valid_and_all_different(names: list[str], taken: list[str]) -> None:
    found = identifiers(names, taken=taken)
    assert all(re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) for name in found)
    assert len({*found, *taken}) == len(names) + len(set(taken))
    assert identifiers(names[:3], taken=taken) == found[:3]


@pytest.mark.parametrize(
    ("names", "others", "taken", "found"),
    [
        (["conv", "Bn_2"], "", [], ["conv", "Bn_2"]),
        (["a.b", "a-b", "a_b"], "", [], ["a_b", "a_b_2", "a_b_3"]),
        (["a.b", "a-b"], ".", [], ["a.b", "a_b"]),
        (["input", "x"], "", ["input", "input_2"], ["input_3", "x"]),
        (["9"], "", ["_9"], ["_9_2"]),
    ],
)
def test_identifiers_by_hand(
    names: list[str], others: str, taken: list[str], found: list[str]
) -> None:
    assert identifiers(names, others, taken) == found
