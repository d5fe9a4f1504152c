"""Dyadic numbers DN(x) = b / 2^c and the one rule by which the integer program rescales.

HAWQ-V3, section 3.1: a real ratio of scales becomes a 31-bit integer and a shift, so that no
division and no float is left. `clamp((acc * b + 2**(c - 1)) >> c, lo, hi)`: the product in 64 bits,
an arithmetic shift, so ties round half up. `2**(c - 1)` is 0 for c = 0, where nothing is dropped.

The functions take int64 NumPy arrays and int64 PyTorch tensors alike, channels on axis 1.
"""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dyadic.errors import UserError
from dyadic.integer.program.limits import SHIFT
from dyadic.integer.program.operations import Dyadic
from dyadic.quantizers.codebook import SQRT2

Integers = TypeVar("Integers", np.ndarray, Tensor)

WORD = 31  # a wide accumulator is split at this bit, or at bit c if that is lower


def dyadic(x: np.ndarray | float) -> Dyadic:
    """The dyadic numbers nearest to x: `x = m * 2**e`, `b = round(m * 2**31)`, `c = 31 - e`.

    So 2^30 <= |b| < 2^31, relative error at most 2^-31; a mantissa that rounds to 2^31 becomes 2^30
    with c one lower. A tie goes away from zero, so DN(-x) = -DN(x). Zero is b = 0, c = 0.

    A ratio below 2^-32 would need c > 62: it keeps c = 62 and `b = round(x * 2**62)` loses bits, as
    a denormal float does. Nothing is lost for |acc| < 2^31: the real product is then less than half
    a step, and so is `acc * b / 2**62`; both round to 0. For wider accumulators the error is
    |acc| * 2^-63.

    Args: x, float64, scalar or [C]. Returns b and c, int64 [1] or [C].
    Raises: UserError for x that is not finite, or so large that c would be negative.

    >>> half = dyadic(0.5)
    >>> int(half.b[0]) == 2**30, int(half.c[0])
    (True, 31)
    """
    x = np.atleast_1d(np.asarray(x, dtype=np.float64))
    if not np.isfinite(x).all():
        raise UserError(f"a scale of {x[~np.isfinite(x)][0]} is no dyadic number; use finite ones")
    exponent = np.frexp(x)[1]
    c = np.minimum(31 - exponent, SHIFT)
    b = _round(np.ldexp(x, c))
    carried = np.abs(b) == 2**31
    b, c = np.where(carried, b // 2, b), np.where(carried, c - 1, c)
    if (c < 0).any():
        raise UserError(f"a scale of {x[c < 0][0]} is too large; it must be below 2^31 - 0.5")
    return Dyadic(b, np.where(b == 0, 0, c).astype(np.int64))


def pair(x: np.ndarray | float) -> tuple[Dyadic, Dyadic]:
    """Dyadic numbers of x and sqrt(2) * x with a common c, for weights a + b sqrt(2).

    The larger one, sqrt(2) * x, is normalized; its c is used for x too, so that both b stay below
    2^31 and x's is at least 2^29 (x * 2^c in [2^29.5, 2^30.5)).
    """
    x = np.atleast_1d(np.asarray(x, dtype=np.float64))
    odd = dyadic(SQRT2 * x)
    return Dyadic(_round(np.ldexp(x, odd.c)), odd.c), odd


def _round(x: np.ndarray) -> np.ndarray:
    """To the nearest int64, ties away from zero; exact for |x| < 2^52."""
    return (np.sign(x) * np.floor(np.abs(x) + 0.5)).astype(np.int64)


def requantize(acc: Integers, scale: Dyadic, lo: int, hi: int) -> Integers:
    """`clamp((acc * b + 2**(c - 1)) >> c, lo, hi)`, exactly, for |acc| <= 2^(31 + min(c, 31)).

    Where acc * b could pass 64 bits, acc is split: with s = min(c, 31), acc = high * 2^s + low,
    `(high * b + ((low * b + 2**(c - 1)) >> s)) >> (c - s)` is the same number.
    Raises: OverflowError for a larger accumulator.

    >>> requantize(np.array([[-3, -1, 1, 3]]), dyadic(0.5), -8, 7)
    array([[-1,  0,  1,  2]])
    """
    return _shift_sum([(acc, scale)]).clip(lo, hi)


def requantize_pair(
    even: Integers, odd: Integers, scale: Dyadic, odd_scale: Dyadic, lo: int, hi: int
) -> Integers:
    """`clamp((even * scale.b + odd * odd_scale.b + 2**(c - 1)) >> c, lo, hi)`, one rounding.

    `scale.c` and `odd_scale.c` are equal (`pair`). The limits of `requantize`, halved.
    """
    return _shift_sum([(even, scale), (odd, odd_scale)]).clip(lo, hi)


def plain_limit(terms: int) -> int:
    """Largest |acc| for which the sum of `terms` products and 2^(c - 1) stays below 2^63."""
    return 2**31 // terms


def split_limit(scale: Dyadic, terms: int) -> np.ndarray:
    """The same where acc is split in two words: 2^(31 + min(c, 31)) / terms, int64 [1] or [C]."""
    exponent = np.where(scale.b == 0, SHIFT, WORD + np.minimum(scale.c, WORD))
    return (1 << exponent) // terms


def _shift_sum(terms: list[tuple[Any, Dyadic]]) -> Any:
    """`(sum of acc * b + 2**(c - 1)) >> c` before the clamp."""
    accumulators = [acc for acc, _ in terms]
    like, c = terms[0][0], terms[0][1].c
    factors = [_channels(scale.b, like) for _, scale in terms]
    half = _channels((1 << c) >> 1, like)
    largest = max((_largest(a) for a in accumulators if len(a)), default=0)
    if largest <= plain_limit(len(terms)):
        total = _dot(accumulators, factors)
        total += half  # in place: the reference engine spends most of its time on this line
        total >>= _channels(c, like)
        return total
    for acc, scale in terms:
        limit = _channels(split_limit(scale, len(terms)), like)
        if ((acc > limit) | (acc < -limit)).any():
            raise OverflowError(f"an accumulator of {largest} does not fit 64 bits after scaling")
    # acc = high * 2^s + low. The dropped bits of every low product meet in `carry`, so the nested
    # floors equal the floor of the whole sum.
    s = np.minimum(c, WORD)
    rest, mask, s = _channels(c - s, like), _channels((1 << s) - 1, like), _channels(s, like)
    high = [a >> s for a in accumulators]
    low = [(a & mask) * b for a, b in zip(accumulators, factors, strict=True)]
    carry = (sum(product & mask for product in low) + half) >> s
    upper = _dot(high, factors) + sum(product >> s for product in low)
    return (upper + carry) >> rest


def _largest(acc: Any) -> int:
    """Largest magnitude."""
    low, high = torch.aminmax(acc) if isinstance(acc, Tensor) else (acc.min(), acc.max())
    return max(-int(low), int(high))


def _dot(accumulators: list[Any], factors: list[Any]) -> Any:
    """Sum of the products, element by element."""
    first, *rest = (a * b for a, b in zip(accumulators, factors, strict=True))
    return sum(rest, first)


def _channels(values: np.ndarray, like: Any) -> Any:
    """[1] or [C] as an array or tensor that broadcasts along axis 1 of `like`."""
    shaped = values.reshape(1, -1, *[1] * (like.ndim - 2))
    return torch.from_numpy(shaped).to(like.device) if isinstance(like, Tensor) else shaped
