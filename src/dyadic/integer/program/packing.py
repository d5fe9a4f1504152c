"""Integers of any width, bit after bit: 5-bit codes take 5 bits on disk."""

import numpy as np

PACKED_AT_ONCE = 2**16  # values packed at a time; a multiple of 8, so every block ends on a byte


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take.

    >>> packed_bytes(3, bits=5)
    2
    """
    return -(-count * bits // 8)


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes 0 .. 2^bits - 1 as uint8 [packed_bytes]; the lowest bit of the first code comes first.

    >>> pack(np.array([1, 2, 3], np.uint8), bits=4).tolist()
    [33, 3]
    """
    flat = codes.reshape(-1)
    blocks = [flat[start : start + PACKED_AT_ONCE] for start in range(0, len(flat), PACKED_AT_ONCE)]
    return np.concatenate([np.zeros(0, np.uint8), *(_pack_block(b, bits) for b in blocks)])


def unpack(packed: np.ndarray, count: int, bits: int) -> np.ndarray:
    """The first `count` codes of `packed`, uint8 for up to 8 bits, else uint16."""
    step = packed_bytes(PACKED_AT_ONCE, bits)
    codes = np.empty(count, np.uint8 if bits <= 8 else np.uint16)
    for start in range(0, count, PACKED_AT_ONCE):
        block = codes[start : start + PACKED_AT_ONCE]
        block[:] = _unpack_block(packed[start // PACKED_AT_ONCE * step :][:step], len(block), bits)
    return codes


def _pack_block(codes: np.ndarray, bits: int) -> np.ndarray:
    pairs = codes.astype("<u2").view(np.uint8).reshape(-1, 2)
    return np.packbits(np.unpackbits(pairs, axis=1, bitorder="little")[:, :bits], bitorder="little")


def _unpack_block(packed: np.ndarray, count: int, bits: int) -> np.ndarray:
    rows = np.unpackbits(packed, bitorder="little")[: count * bits].reshape(count, bits)
    full = np.zeros((count, 16), np.uint8)
    full[:, :bits] = rows
    return np.packbits(full, axis=1, bitorder="little").view("<u2").reshape(-1)
