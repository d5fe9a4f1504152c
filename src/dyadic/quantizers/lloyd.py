"""b-bit weights with the least-squares scale (BinaryRelax: Yin et al. 2018, b >= 3).

The nearest point of R+ x {0, +-1, ..., +-(2^(b-1) - 1)}^n has no closed form. Lloyd's alternation

    q = clip(round(y / s)),  s = <y, q> / ||q||^2

never increases ||y - s q||; a fixed number of rounds makes it a function of y.
"""

from collections.abc import Callable
from typing import Unpack

from torch import Tensor

from dyadic.errors import check_least
from dyadic.quantizers.codebook import Codebook, octave, positive
from dyadic.quantizers.quantizer import WeightOptions, WeightQuantizer, check_bits
from dyadic.quantizers.uniform_codebook import UniformCodebook


def least_squares_scale(rows: Tensor, largest: int, iterations: int) -> Tensor:
    """The scale s of each row [R, n] after Lloyd's alternation, integers -largest .. largest.

    It starts from s = 2 max|y| / (2^b - 1), largest = 2^(b-1) - 1, as the authors' code.
    """
    unit = octave(rows, dim=1)
    rows = rows / unit
    s = positive(rows.abs().amax(dim=1) / (largest + 0.5))
    for _ in range(iterations):
        q = (rows / s[:, None]).round_().clamp_(-largest, largest)
        s = positive((rows * q).sum(dim=1) / q.square().sum(dim=1).clamp_min(1))
    return s * unit[:, 0]


class Lloyd(WeightQuantizer):
    """Weights s * k, k = -(2^(b-1) - 1) .. 2^(b-1) - 1, s by Lloyd's alternation.

    bits         2 .. 16 (2: an approximation of `Ternary`)
    iterations   rounds of the alternation; the authors' code does 1
    granularity  per_tensor (the paper), per_channel, or per_group or per_block of `group_size`

    >>> import torch
    >>> Lloyd(bits=3)(torch.tensor([3.1, -2.0, 0.9, 0.1]))
    tensor([ 3.0429, -2.0286,  1.0143,  0.0000])
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        *,
        iterations: int = 10,
        **options: Unpack[WeightOptions],
    ) -> None:
        check_bits("Lloyd", bits, 2)
        check_least(1, iterations=iterations)
        super().__init__(bits, signed, **options)
        self.iterations, self.largest = iterations, 2 ** (bits - 1) - 1

    def fitted(self, rows: Tensor, spread: Callable[[Tensor], Tensor]) -> Codebook:
        scale = spread(least_squares_scale(rows, self.largest, self.iterations))
        return UniformCodebook(scale, -self.largest, self.largest, self.bits)
