"""What an allocation of bits costs: size and bit operations.

Formula A reproduces the uniform rows of HAWQ-V3 (Table 1). It counts convolutions and fully
connected layers, downsample convolutions included; biases, batch norm and pooling cost nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dyadic.network.insert import Bits
from dyadic.network.layers import Layer

BITS_PER_MIB = 8 * 2**20
SIZE_CONVENTION = "Formula A: weights * bits / 8 / 2^20 MiB; conv and fc weights, no bias or BN"
BOPS_CONVENTION = "Formula A: MAC * weight bits * activation bits / 10^9; conv and fc"


@dataclass(frozen=True)
class LayerCost:
    """What one convolution or fully connected layer contributes.

    parameters weights without the bias
    macs       multiply-accumulates for one image
    shape      weights and output, as text: a latency belongs to a shape
    """

    name: str
    parameters: int
    macs: int
    shape: str = ""

    def size(self, bits: Bits) -> int:
        """Bits of storage."""
        return self.parameters * bits[0]

    def bit_operations(self, bits: Bits) -> int:
        """Weight bits times activation bits times MACs (HAWQ-V3, section 3.4)."""
        return self.macs * bits[0] * bits[1]


def costs_of(layers: Iterable[Layer]) -> list[LayerCost]:
    """What the layers of a network contribute, in their order."""
    return [LayerCost(layer.name, layer.parameters, layer.macs) for layer in layers]


def size_mib(layers: Iterable[LayerCost], bits: Mapping[str, Bits]) -> float:
    """Sum of weights * bits / 8 / 2^20, MiB (Formula A).

    >>> size_mib([LayerCost("fc", parameters=2**20, macs=2**20)], {"fc": (4, 8)})
    0.5
    """
    return sum(layer.size(bits[layer.name]) for layer in layers) / BITS_PER_MIB


def gbops(layers: Iterable[LayerCost], bits: Mapping[str, Bits]) -> float:
    """Sum of MAC * weight bits * activation bits / 10^9 (Formula A).

    >>> gbops([LayerCost("fc", parameters=10**6, macs=10**6)], {"fc": (4, 8)})
    0.032
    """
    return sum(layer.bit_operations(bits[layer.name]) for layer in layers) / 1e9
