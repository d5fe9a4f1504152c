"""The quantized network: a traced model whose weights and activations have quantizers."""

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from dyadic.errors import UserError
from dyadic.network.activations import activation_quantizations, observe
from dyadic.network.insert import (
    ActivationFactory,
    Bits,
    WeightFactory,
    quantize_activations,
    quantize_weights,
)
from dyadic.network.layers import Layer, weight_layers
from dyadic.network.modes import evaluating
from dyadic.network.weights import WeightQuantization, weight_quantization
from dyadic.quantizers.statistics import Remembered

CALIBRATION_BATCH = 128


class QuantizedNetwork(nn.Module):
    """A traced network with its weight layers in execution order; call it on uint8 images.

    body        the graph, with its quantizers
    layers      convolutions and fully connected layers, first to last
    image_shape (C, H, W) of one image
    calibration uint8 images that stand for all, kept for lowering; None where a run has its own
    traced_difference  largest difference of a logit between the user's model and its graph, as a
                share of the largest logit; None for a graph that was not read from a model
    """

    calibration: Tensor | None = None

    def __init__(self, body: fx.GraphModule, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.body, self.image_shape = body, image_shape
        self.traced_difference: float | None = body.meta.get("traced_difference")
        self.layers: list[Layer] = weight_layers(body, image_shape)

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)

    def clone(self) -> "QuantizedNetwork":
        """An independent copy; its layers point into its own graph."""
        return QuantizedNetwork(copy.deepcopy(self.body), self.image_shape)

    def quantize(
        self,
        bits: Mapping[str, Bits],
        weight: WeightFactory | None,
        activation: ActivationFactory | None,
    ) -> "QuantizedNetwork":
        """Insert the quantizers, in place; without a factory that side stays float.

        Raises UserError when bits name a layer that does not exist, or leave one out.
        """
        names = {layer.name for layer in self.layers}
        if wrong := set(bits) ^ names:
            raise UserError(f"bits for {sorted(wrong)}; the network's layers are {sorted(names)}")
        if weight is not None:
            quantize_weights(self.layers, weight, bits)
        if activation is not None:
            quantize_activations(self.body, self.layers, activation, bits)
        return self

    def weights(self) -> Iterator[tuple[Layer, WeightQuantization]]:
        """The layers whose weights are quantized, with their parametrizations."""
        for layer in self.layers:
            quantization = weight_quantization(layer.module)
            if quantization is not None:
                yield layer, quantization

    def quantized_share(self) -> float:
        """Share of the quantizable weights that are on their codebook, 0 to 1."""
        pairs = list(self.weights())
        total = sum(layer.parameters for layer, _ in pairs)
        done = sum(layer.parameters * weights.quantized_share for layer, weights in pairs)
        return done / total if total else 1.0

    @torch.no_grad()
    @parametrize.cached()
    def calibrate(self, batches: Iterable[Tensor], only: Collection[str] | None = None) -> None:
        """Let static activation ranges see the images, with everything else as evaluated.

        batches uint8 [N, C, H, W]; `only` names the activation quantizers whose ranges may move.
        """
        for name, quantization in activation_quantizations(self).items():
            quantization.observing = only is None or name in only
        with evaluating(self):
            for batch in batches:
                self(batch)
        observe(self, False)


def calibrate(
    network: QuantizedNetwork, images: Tensor, only: Collection[str] | None = None
) -> None:
    """Fit the activation ranges (or those named by `only`) anew to uint8 images [N, C, H, W].

    What a range remembers of an earlier network is forgotten first.
    """
    for name, quantization in activation_quantizations(network).items():
        if only is None or name in only:
            for memory in (m for m in quantization.modules() if isinstance(m, Remembered)):
                memory.value = memory.value.new_empty(0)
    network.calibrate(images.split(CALIBRATION_BATCH), only=only)
