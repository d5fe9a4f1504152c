import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.allocation import ClosedForm, LayerCost, Problem
from dyadic.allocation.closed_form import closed_form_bits

COUNTS = st.lists(st.integers(1, 10**7), min_size=1, max_size=8)


@given(parameters=COUNTS, bits=st.floats(1, 16))
def test_the_size_is_that_of_uniform_bits(parameters: list[int], bits: float) -> None:
    real = closed_form_bits(parameters, bits)
    size = sum(rho * beta for rho, beta in zip(parameters, real, strict=True))
    assert size == pytest.approx(bits * sum(parameters), rel=1e-9)


@given(parameters=COUNTS, moved=st.floats(-0.5, 0.5), data=st.data())
def test_no_other_widths_of_this_size_have_less_noise(
    parameters: list[int], moved: float, data: st.DataObject
) -> None:
    real = closed_form_bits(parameters, 4.0)
    i, j = (data.draw(st.integers(0, len(parameters) - 1)) for _ in range(2))
    other = list(real)
    other[i] += moved / parameters[i]
    other[j] -= moved / parameters[j]

    def noise(widths: list[float]) -> float:
        return math.fsum(10 ** (-6.02 * beta / 10) for beta in widths)

    assert noise(other) >= noise(real) * (1 - 1e-9)


def test_widths_come_from_the_menu_and_ends_are_kept() -> None:
    layers = [LayerCost(n, p, 1) for n, p in zip("abcd", (10, 100, 100_000, 10), strict=True)]
    problem = Problem(layers, lambda layer, w, a: 0.0)
    assert ClosedForm(4.0, 8, widths=(2, 4, 8)).assign(problem) == {
        "a": (8, 8),
        "b": (8, 8),
        "c": (4, 8),
        "d": (8, 8),
    }
    assert ClosedForm(3.0, overrides={"b": 5}).assign(problem)["b"] == (5, 32)
