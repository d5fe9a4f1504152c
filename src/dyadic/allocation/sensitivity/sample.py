"""A float network with what its layers' sensitivity is measured on."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from dyadic.network.insert import FLOAT, ActivationFactory, WeightFactory
from dyadic.network.modes import evaluating


@dataclass(frozen=True)
class Sample:
    """A float network, some images, and the quantizers that are to be tried on it.

    layers     name to module; names as in `model`, so that `name + ".weight"` is a parameter
    images, labels   what the loss is taken over
    weight, activation   quantizer factories; without one that side stays float and does no harm
    cache      folder for what is expensive; None measures again
    progress   gets a line of text from time to time
    """

    model: nn.Module
    layers: Mapping[str, nn.Conv2d | nn.Linear]
    images: Tensor
    labels: Tensor
    weight: WeightFactory | None
    activation: ActivationFactory | None = None
    cache: Path | None = None
    progress: Callable[[str], None] = lambda line: None

    def logits(self, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Of the model as evaluated, some of its parameters replaced."""
        with evaluating(self.model):
            return functional_call(self.model, dict(weights or {}), (self.images,))

    @torch.no_grad()
    def loss(self, weights: Mapping[str, Tensor] | None = None) -> float:
        """Mean cross-entropy of `logits`."""
        return float(functional.cross_entropy(self.logits(weights), self.labels))

    @torch.no_grad()
    def quantized_weight(self, layer: str, bits: int) -> Tensor:
        """The layer's weight at `bits`; as it is at 32."""
        w = self.layers[layer].weight.detach()
        return w if self.weight is None or bits == FLOAT else self.weight(bits=bits)(w)

    @torch.no_grad()
    def quantized_input(self, x: Tensor, bits: int) -> Tensor:
        """A layer's input at `bits`, its range from x itself; as it is at 32."""
        if self.activation is None or bits == FLOAT:
            return x
        quantizer = self.activation(bits=bits, signed=bool((x < 0).any())).to(x.device)
        quantizer.observe(x)
        return quantizer(x)

    def weight_error(self, layer: str, bits: int) -> float:
        """||Q(W) - W||^2."""
        error = self.quantized_weight(layer, bits) - self.layers[layer].weight.detach()
        return float(error.double().square().sum())

    def digest(self) -> str:
        """Of weights, images and labels: what a curvature depends on."""
        digest = hashlib.sha256()
        tensors = [*self.model.state_dict().values(), self.images, self.labels]
        for tensor in tensors:
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()
