"""Post-training bias correction: what quantization shifts a layer's mean output by, taken back.

    b' = b + E[y] - E[y~]

for each output channel, over images and positions (Nagel et al. 2019, section 4.2 and, measured
instead of computed from batch norm, appendix D; Gholami et al., section III-G). y is the output of
the float network's layer, y~ that of the quantized one with all layers below already corrected: so
the errors of weights and of activations count, and zero padding as it is.
"""

from collections.abc import Callable

import torch
from torch import Tensor, fx, nn

from dyadic.network.activations import enable
from dyadic.network.layers import module_of
from dyadic.network.modes import evaluating
from dyadic.network.quantized import QuantizedNetwork
from dyadic.schedules.blend import set_blend

CORRECTED_ON = 256  # images that the means are taken over; all are in memory at once
WeightModule = nn.Conv2d | nn.Linear


@torch.no_grad()
def correct_biases(network: QuantizedNetwork, images: Tensor) -> None:
    """Correct the bias of every layer, from the image on; a layer without one gets one.

    network  post-training: its latent weights are those of the float network
    images   uint8 [N, C, H, W], of which the first `CORRECTED_ON` are used
    """
    wanted: dict[str, Tensor] = {}

    def remember(name: str, layer: WeightModule, y: Tensor) -> Tensor:
        wanted[name] = channel_means(y)
        return y

    def correct(name: str, layer: WeightModule, y: Tensor) -> Tensor:
        lost = (wanted[name] - channel_means(y)).to(y.dtype)
        layer.bias = nn.Parameter(lost if layer.bias is None else layer.bias + lost)
        return y + lost.reshape(1, -1, *[1] * (y.ndim - 2))

    with evaluating(network):
        for body, visit in ((float_copy(network), remember), (network.body, correct)):
            _Layers(body, visit).run(images[:CORRECTED_ON])


def channel_means(y: Tensor) -> Tensor:
    """Mean of each channel of [N, C, ...] over all other axes, float64 [C]."""
    return y.mean(dim=[axis for axis in range(y.ndim) if axis != 1], dtype=torch.float64)


def float_copy(network: QuantizedNetwork) -> fx.GraphModule:
    """A copy of the network that computes with its latent weights and float activations."""
    copy = network.clone().eval()
    set_blend(copy, 0.0)
    enable(copy, False)
    return copy.body


class _Layers(fx.Interpreter):
    """Runs a network; what it visits, layers in execution order, decides how it goes on."""

    def __init__(
        self, body: fx.GraphModule, visit: Callable[[str, WeightModule, Tensor], Tensor]
    ) -> None:
        super().__init__(body)
        self.body, self.visit = body, visit

    def run_node(self, n: fx.Node) -> Tensor:
        result = super().run_node(n)
        layer = module_of(self.body, n)
        return self.visit(n.name, layer, result) if isinstance(layer, WeightModule) else result
