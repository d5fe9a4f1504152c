"""Bottom-to-top fine-tuning and its two alternatives (Lin & Talathi 2016, proposals 1 to 3).

Quantized activations make the gradient wrong (it is that of a ReLU, the forward pass is a
staircase), and the error grows with every staircase on the way down. Proposal 3, for L layers, in
phases p = 1 .. L - 1 (their Table 1):

    activations of layers 1 .. p are fixed point, those above are float;
    the weights of layer p + 1 train, all others are frozen.

So the gradient never crosses a staircase. Layer 1's weights never train; the top layer's output
(the logits) is never quantized. "Layer" is a block where layers have no unique order
(`dyadic.network.blocks`). A quantizer in front of a layer is the *activation of the unit below*:
it belongs to the unit that its value comes from. The image, unit 0, is always quantized.
"""

from collections.abc import Container
from typing import Literal

from torch import Tensor, fx, nn

from dyadic.errors import check_choice, check_least
from dyadic.network.activations import (
    ActivationQuantization,
    activation_quantizations,
    enable,
    observe,
)
from dyadic.network.blocks import UNITS, Unit, units
from dyadic.network.layers import module_of
from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.schedules.schedule import Phase, Schedule


class BottomUp(Schedule):
    """Proposal 3: activations become fixed point from the bottom, the layer above adapts.

    epochs_per_phase the paper gives none; each phase restarts the learning-rate curve
    unit             what a phase trains: single layers in execution order, or blocks
    train_scope      the next unit alone (the paper's table), or all units above
    """

    def __init__(
        self,
        epochs_per_phase: int = 1,
        unit: Unit = "block",
        train_scope: Literal["next_layer", "all_above"] = "next_layer",
    ) -> None:
        check_least(1, epochs_per_phase=epochs_per_phase)
        check_choice("unit", unit, UNITS)
        check_choice("train_scope", train_scope, ("next_layer", "all_above"))
        self.epochs, self.train_scope = epochs_per_phase, train_scope
        self.unit: Unit = unit

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        top = max(units(network.body, self.unit).values())
        return [
            Phase(f"{self.unit} {p + 1} of {top}", self.epochs, f"quantize {self.unit} {p}", True)
            for p in range(1, top)
        ]

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        """Fit the formats of the activations that turn on now, with the network as it is now."""
        p = phase + 1
        self._enable(network, p)
        first = 0 if phase == 0 else p
        calibrate(network, images, self._between(network, first, p))

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        p, of = phase + 1, units(network.body, self.unit)
        self._enable(network, p)
        last = p + 1 if self.train_scope == "next_layer" else max(of.values())
        train_only(network, of, range(p + 1, last + 1))

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        """Also the top block's inner activations, if it has any, are fixed point in the end."""
        top = max(units(network.body, self.unit).values())
        self._enable(network, top)
        calibrate(network, images, self._between(network, top if top > 1 else 0, top))
        network.requires_grad_(True)

    def _enable(self, network: QuantizedNetwork, p: int) -> None:
        on = self._between(network, 0, p)
        for name, quantization in activation_quantizations(network).items():
            quantization.enabled = name in on

    def _between(self, network: QuantizedNetwork, first: int, last: int) -> set[str]:
        """Names of the activation quantizers of units first .. last."""
        of = units(network.body, self.unit)
        return {
            f"body.{node.target}"
            for node, unit in of.items()
            if isinstance(module_of(network.body, node), ActivationQuantization)
            and first <= unit <= last
        }


class WeightsOnly(Schedule):
    """Proposal 1: train fixed-point weights with float activations, quantize these afterwards."""

    def __init__(self, epochs: int) -> None:
        check_least(1, epochs=epochs)
        self.epochs = epochs

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        return [Phase("weights only", self.epochs)]

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        enable(network, False)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        enable(network, True)
        calibrate(network, images)


class TopLayers(Schedule):
    """Proposal 2: everything is fixed point from the start, only the last k units train."""

    def __init__(self, epochs: int, k: int = 1, unit: Unit = "layer") -> None:
        check_least(1, epochs=epochs, k=k)
        check_choice("unit", unit, UNITS)
        self.epochs, self.k = epochs, k
        self.unit: Unit = unit

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        return [Phase(f"top {self.k} {self.unit}s", self.epochs)]

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        calibrate(network, images)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        of = units(network.body, self.unit)
        top = max(of.values())
        train_only(network, of, range(top - self.k + 1, top + 1))

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        network.requires_grad_(True)


def train_only(network: QuantizedNetwork, of: dict[fx.Node, int], scope: Container[int]) -> None:
    """Let only these units train: weights, biases, batch norm with its statistics.

    Frozen parameters have no gradient, and optimizers leave those alone: neither momentum nor
    weight decay moves them. A learned range trains with the layer that reads it.
    """
    observe(network, False)
    for node, unit in of.items():
        module = module_of(network.body, node)
        if isinstance(module, ActivationQuantization):
            module.requires_grad_(unit + 1 in scope)
        elif module is not None:
            module.requires_grad_(unit in scope)
            if isinstance(module, nn.BatchNorm2d):
                module.train(unit in scope)
