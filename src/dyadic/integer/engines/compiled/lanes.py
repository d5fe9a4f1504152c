"""Dyadic numbers spread over the lanes of vectors, as high words where those are enough."""

from dataclasses import dataclass

import numpy as np

from dyadic.integer.program.operations import Linear, Requantize

LOW_WORD = 32  # bits of a product that high words lack
HIGH = LOW_WORD + 1  # least c for which high words are enough: what rounds is one of them


@dataclass(frozen=True)
class Lanes:
    """b and c, int32 [n], one for each lane, and the shift `up` that makes every c at least 33.

    high  whether it does, and |x| << up fits int32: then the products' high words are enough,
          since `(x * b + 2**(c - 1)) >> c` is `((x << u) * b + 2**(c + u - 1)) >> (c + u)`, and
          c counts from 32 on
    """

    b: np.ndarray
    c: np.ndarray
    up: np.ndarray
    high: bool
    lo: int
    hi: int

    @property
    def rounds(self) -> np.ndarray:
        """What rounds half up, in high words."""
        return 1 << (self.c - 1)

    @classmethod
    def of(cls, operation: Linear | Requantize, lanes: int, largest: int) -> "Lanes":
        """A scale spread over so many lanes, for |x| <= largest; c counts only where b is not 0."""
        scale, odd = operation.scale, isinstance(operation, Linear) and operation.odd is not None
        b = spread(scale.b, lanes)
        c = spread(scale.c if odd else np.where(scale.b == 0, HIGH, scale.c), lanes, fill=HIGH)
        up = (HIGH - c).clip(0)
        high = not odd and largest << int(up.max()) < 2**31
        c, up = (c + up - LOW_WORD, up) if high else (c, np.zeros_like(up))
        return cls(b, c, up, high, operation.lo, operation.hi)


def spread(values: np.ndarray, lanes: int, fill: int = 0) -> np.ndarray:
    """One value for all lanes, or one a channel and `fill` up to whole blocks."""
    if len(values) == 1:
        return np.full(lanes, values[0])
    return np.concatenate([values, np.full(lanes - len(values), fill)])
