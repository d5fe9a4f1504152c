"""Compression ratios against the ones that INQ's paper prints."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadic.record.compression import compression, non_zeros_in_a_word


@pytest.mark.parametrize(("bits", "printed"), [(5, 53), (4, 71), (3, 89)])
def test_the_ratios_of_inqs_table_5(bits: int, printed: int) -> None:
    """AlexNet, pruned by 17.7 and quantized."""
    layers = [{"parameters": 60_000_000, "weight_bits": bits, "zero_share": 1 - 1 / 17.7}]
    found = compression(layers)
    assert found["pruned"] == pytest.approx(17.7)
    assert int(found["pruned_quantized"] + 0.5) == printed


def test_a_dense_network_is_smaller_by_its_bits_alone() -> None:
    layers = [
        {"parameters": 100, "weight_bits": 8, "zero_share": 0.0},
        {"parameters": 100, "weight_bits": 32},
    ]
    assert compression(layers)["fixed_length"] == 1.6
    assert compression(layers)["variable_length"] == 1.6
    assert compression(layers)["pruned"] == 1.0


@given(st.integers(1, 32), st.floats(0, 0.99))
def test_zeros_never_make_a_network_larger(bits: int, zeros: float) -> None:
    dense = {"parameters": 10_000, "weight_bits": bits, "zero_share": 0.0}
    sparse = dense | {"zero_share": zeros}
    before, after = compression([dense]), compression([sparse])
    assert all(after[name] >= before[name] for name in before)
    assert after["fixed_length"] == before["fixed_length"]


@given(st.integers(1, 16))
def test_as_many_fit_a_word_as_have_room(bits: int) -> None:
    count = non_zeros_in_a_word(bits)
    assert count * 2 * bits <= 32 < (count + 1) * 2 * bits
