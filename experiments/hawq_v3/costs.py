"""What HAWQ-V3's tables count of networks without weights, and Formula B of their mixed rows.

`dyadic.allocation.cost` has Formula A, of the uniform rows. Both count convolutions and fully
connected layers, downsample convolutions included; biases, batch norm and pooling cost nothing.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from dyadic.allocation.cost import LayerCost
from dyadic.network.insert import Bits
from dyadic.network.modes import evaluating

BOPS_CONVENTION_B = (
    "Formula B: MAC * weight bits * activation bits / (1.024 * 10^9); "
    "outside the allocated layers, 8 x 8 bits on the published MAC count"
)


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

    device = next(model.parameters()).device
    with ExitStack() as hooks, evaluating(model), torch.no_grad():
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                hooks.enter_context(module.register_forward_hook(record(name)))
        model(torch.empty(1, *input_shape, device=device))
    return costs
