"""Codes of any width, bit after bit."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dyadic.integer.program.packing import pack, packed_bytes, unpack


@given(st.integers(1, 16), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_packing_keeps_every_code(bits: int, count: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(0, 2**bits, count, np.uint16)
    packed = pack(codes, bits)
    assert len(packed) == packed_bytes(count, bits)
    found = unpack(packed, count, bits)
    assert np.array_equal(found, codes)
    assert found.dtype == (np.uint8 if bits <= 8 else np.uint16)
    # The definition: code i holds bits i * bits .. of one long little-endian number.
    number = sum(int(code) << i * bits for i, code in enumerate(codes))
    assert number == int.from_bytes(packed.tobytes(), "little")


def test_packing_joins_its_blocks() -> None:
    codes = np.random.default_rng(0).integers(0, 32, 2**17 + 5, np.uint8)
    assert np.array_equal(unpack(pack(codes, 5), len(codes), 5), codes)
