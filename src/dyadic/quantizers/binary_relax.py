"""BinaryRelax's quantization sets by bit width (Yin et al. 2018, section 2)."""

from typing import Unpack

from dyadic.quantizers.binary import Binary
from dyadic.quantizers.lloyd import Lloyd
from dyadic.quantizers.quantizer import ScaleOptions, WeightQuantizer
from dyadic.quantizers.ternary import Ternary


def quantization_set(
    bits: int,
    signed: bool = True,
    *,
    granularity: str = "per_tensor",
    **options: Unpack[ScaleOptions],
) -> WeightQuantizer:
    """The paper's set for a bit width: binary (1), ternary (2), scaled integers (3 and more).

    >>> [type(quantization_set(bits)).__name__ for bits in (1, 2, 3)]
    ['Binary', 'Ternary', 'Lloyd']
    """
    small: dict[int, type[Binary] | type[Ternary]] = {1: Binary, 2: Ternary}
    return small.get(bits, Lloyd)(bits, signed, granularity=granularity, **options)
