"""How much smaller a network's weights are than in 32-bit float, in the conventions of the papers.

For a pruned network that is quantized by INQ, Table 5 of Zhou et al. 2017 prints 53, 71 and 89 for
5, 4 and 3 bits on top of a pruning by 17.7, without a formula. They are 17.7 times 3, 4 and 5:
floor(16 / b), as many non-zero weights as fit a 32-bit word with b bits each and b more for where
they are.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dyadic.record.schema import FLOAT_BITS

WORD_BITS = 32


def compression(layers: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Ratios to 32 bits a weight, of rows of `layers.csv` (parameters, weight_bits, zero_share).

    fixed_length     b bits for every weight
    variable_length  1 bit for a zero, b for any other (INQ's "b bits" are of such a code)
    pruned           weights to non-zero weights, at 32 bits
    pruned_quantized as INQ's Table 5: floor(16 / b) non-zero weights in 32 bits

    Layers without a zero_share are float, without zeros.

    >>> row = {"parameters": 1000, "weight_bits": 5, "zero_share": 0.5}
    >>> compression([row])
    {'fixed_length': 6.4, 'variable_length': 10.6667, 'pruned': 2.0, 'pruned_quantized': 6.0}
    """
    total, fixed, variable, kept, words = 0, 0.0, 0.0, 0.0, 0.0
    for row in layers:
        weights, bits = row["parameters"], row["weight_bits"]
        non_zero = weights * (1 - row.get("zero_share", 0.0))
        total += weights
        fixed += weights * bits
        variable += non_zero * bits + (weights - non_zero)
        kept += non_zero
        words += non_zero / non_zeros_in_a_word(bits)
    sizes = {
        "fixed_length": fixed / FLOAT_BITS,
        "variable_length": variable / FLOAT_BITS,
        "pruned": kept,
        "pruned_quantized": words,
    }
    return {name: round(total / max(size, 1), 4) for name, size in sizes.items()}


def non_zeros_in_a_word(bits: int) -> int:
    """Weights of b bits, with b bits of position each, in 32 bits; at least 1.

    >>> [non_zeros_in_a_word(bits) for bits in (5, 4, 3, 32)]
    [3, 4, 5, 1]
    """
    return max(1, WORD_BITS // (2 * bits))
