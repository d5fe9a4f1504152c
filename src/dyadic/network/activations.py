"""Quantized activations: a module in the graph that observes a range and quantizes with it."""

from torch import Tensor, nn

from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.straight_through import identity


class ActivationQuantization(nn.Module):
    """Fake quantization of one activation tensor.

    enabled   quantize; otherwise the values pass (bottom-to-top training turns layers on in turn)
    observing update the static range from what passes (training, calibration)
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.enabled = True
        self.observing = False

    def forward(self, x: Tensor) -> Tensor:
        if self.observing:
            self.quantizer.observe(x.detach())
        return self.quantizer(x) if self.enabled else x

    def extra_repr(self) -> str:
        return f"enabled={self.enabled}, observing={self.observing}"


class StraightThroughReLU(nn.ReLU):
    """A ReLU with derivative 1 everywhere, in front of quantizers with the rule `through_relu`."""

    def forward(self, input: Tensor) -> Tensor:
        return identity(input, input.detach().relu())


def activation_quantizations(network: nn.Module) -> dict[str, ActivationQuantization]:
    """All activation quantizers of a network by name, in registration order."""
    return {n: m for n, m in network.named_modules() if isinstance(m, ActivationQuantization)}


def enable(network: nn.Module, enabled: bool) -> None:
    """Let every activation quantizer quantize, or let the values pass."""
    for quantization in activation_quantizations(network).values():
        quantization.enabled = enabled


def observe(network: nn.Module, observing: bool) -> None:
    """Let every activation quantizer's range move, or stop it."""
    for quantization in activation_quantizations(network).values():
        quantization.observing = observing
