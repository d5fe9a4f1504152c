"""Training with quantized gradients (LogQuant, Miyashita et al. 2016, section 5).

Weights and activations are quantized at every step, and so is the error signal: the gradient with
respect to a layer's output, before it is multiplied with the layer's weights and with its inputs.
So both products of the backward pass have two quantized operands, as those of the forward pass.
The float weights that the optimizer updates see the float product.
"""

from collections.abc import Callable

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dyadic.network.quantized import QuantizedNetwork
from dyadic.quantizers.gradient import QuantizeGradient
from dyadic.quantizers.quantizer import Quantizer
from dyadic.schedules.all_at_once import AllAtOnce


class LogTraining(AllAtOnce):
    """All at once, with quantized gradients behind every weight layer.

    epochs       of training
    gradient     quantizer factory (bits=...); None leaves gradients float
    bits         of the gradients; the paper uses 5 for all three
    moving_range as for `AllAtOnce`
    """

    def __init__(
        self,
        epochs: int,
        gradient: Callable[..., Quantizer] | None,
        bits: int = 5,
        moving_range: int | None = None,
    ) -> None:
        super().__init__(epochs, moving_range)
        self.gradient, self.bits = gradient, bits
        self.hooks: list[RemovableHandle] = []

    def begin(self, network: QuantizedNetwork) -> None:
        """Put gradient quantizers into the layers, with whatever state they have."""
        if self.gradient is None:
            return
        for layer in network.layers:
            layer.module.add_module("gradient", QuantizeGradient(self.gradient(bits=self.bits)))
            self.hooks.append(layer.module.register_forward_hook(_quantize_gradient))

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        """Leave nothing of training's backward pass in the network."""
        super().finish(network, images)
        for hook in self.hooks:
            hook.remove()
        for layer in network.layers if self.hooks else []:
            del layer.module.gradient
        self.hooks.clear()


def _quantize_gradient(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return layer.get_submodule("gradient")(output)
