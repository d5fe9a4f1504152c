"""What an allocation of bits costs: size, bit operations, and where they are counted.

Formula A reproduces the uniform rows of HAWQ-V3 (Table 1); Formula B its mixed rows (Table 2).
Both count convolutions and fully connected layers, downsample convolutions included; biases, batch
norm and pooling cost nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dyadic.network.insert import Bits
from dyadic.network.modes import evaluating

BITS_PER_MIB = 8 * 2**20
SIZE_CONVENTION = "Formula A: weights * bits / 8 / 2^20 MiB; conv and fc weights, no bias or BN"
BOPS_CONVENTION = "Formula A: MAC * weight bits * activation bits / 10^9; conv and fc"
BOPS_CONVENTION_B = (
    "Formula B: MAC * weight bits * activation bits / (1.024 * 10^9); "
    "outside the allocated layers, 8 x 8 bits on the published MAC count"
)


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


def gbops_mixed(
    layers: Iterable[LayerCost], bits: Mapping[str, Bits], published_macs: int, rest: Bits = (8, 8)
) -> float:
    """GBOPS as the mixed rows of HAWQ-V3's Table 2 count them (Formula B).

    The unit is 1024 * 10^6 bit operations, and everything outside `layers` is charged as
    `published_macs` minus their MACs at the widths `rest`, whether it is a convolution or not.
    """
    layers = list(layers)
    outside = published_macs - sum(layer.macs for layer in layers)
    inside = sum(layer.bit_operations(bits[layer.name]) for layer in layers)
    return (inside + outside * rest[0] * rest[1]) / 1.024e9


def layer_costs(model: nn.Module, input_shape: tuple[int, int, int]) -> list[LayerCost]:
    """The cost of every Conv2d and Linear of `model`, in execution order.

    Runs one forward on the device of the model's parameters; on "meta" nothing is computed.
    """
    costs: list[LayerCost] = []

    def record(name: str):
        def hook(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
            weight = module.get_parameter("weight")
            positions = output[0].numel() // len(weight)
            shape = "x".join(map(str, weight.shape)) + "@" + "x".join(map(str, output.shape[2:]))
            costs.append(LayerCost(name, weight.numel(), weight.numel() * positions, shape))

        return hook

    handles = [
        module.register_forward_hook(record(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    parameter = next(model.parameters())
    try:
        with evaluating(model), torch.no_grad():
            model(torch.empty(1, *input_shape, device=parameter.device))
    finally:
        for handle in handles:
            handle.remove()
    return costs
