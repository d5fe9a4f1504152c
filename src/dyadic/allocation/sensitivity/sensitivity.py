"""How much harm a width does to a layer: omega, the ILP's objective, in four ways.

A sensitivity looks at a float network and some images once it is asked, and answers for any width.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from dyadic.allocation.sensitivity.eigenvalue import top_eigenvalues
from dyadic.allocation.sensitivity.hessian import RelativeError, Stop, Traces, hessian_traces
from dyadic.network.insert import FLOAT
from dyadic.network.modes import evaluating
from dyadic.quantizers.quantizer import Quantizer
from dyadic.record.files import Damaged, read_sealed, write_sealed

Omega = Callable[[str, int, int], float]
"""omega(layer, weight bits, activation bits)."""

Quantize = Callable[..., Quantizer]
"""A quantizer factory: (bits=...) for weights, (bits=..., signed=...) for activations."""


@dataclass(frozen=True)
class Sample:
    """A float network with what its sensitivity is measured on.

    layers     name to module; names as in `model`, so that `name + ".weight"` is a parameter
    images, labels   what the loss is taken over
    weight, activation   quantizer factories; without one that side stays float and does no harm
    cache      folder for what is expensive; None measures again
    progress   is told a line of text from time to time
    """

    model: nn.Module
    layers: Mapping[str, nn.Conv2d | nn.Linear]
    images: Tensor
    labels: Tensor
    weight: Quantize | None
    activation: Quantize | None = None
    cache: Path | None = None
    progress: Callable[[str], None] | None = None

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


class Sensitivity(ABC):
    """Measures a sample; nothing is computed before the first question to its omega."""

    @abstractmethod
    def __call__(self, sample: Sample) -> Omega:
        """omega(layer, weight bits, activation bits) for the layers of `sample`."""


class Curvature(Sensitivity):
    """Omega = curvature * ||Q(W) - W||^2 (HAWQ-V3, section 3.4); activations do not count.

    Choices of one layer that differ in activation bits alone are alike to it.
    """

    @abstractmethod
    def measure(self, sample: Sample) -> dict[str, float]:
        """Curvature of the loss by layer."""

    def __call__(self, sample: Sample) -> Omega:
        """The curvature is measured once, or read from the sample's cache."""
        curvature = cache(lambda: self._cached(sample))
        error = cache(sample.weight_error)
        return lambda layer, weight, activation: curvature()[layer] * error(layer, weight)

    def _cached(self, sample: Sample) -> dict[str, float]:
        if sample.cache is None:
            return self.measure(sample)
        key = hashlib.sha256(f"{self!r} {list(sample.layers)} {sample.digest()}".encode())
        path = sample.cache / f"curvature-{key.hexdigest()[:16]}.json"
        try:
            return read_sealed(path)
        except FileNotFoundError:
            pass
        except Damaged as error:
            _say(sample, f"{error}; the curvature is measured again")
        measured = self.measure(sample)
        write_sealed(path, measured)
        return measured


@dataclass(frozen=True)
class HessianTrace(Curvature):
    """Mean trace of the layer's Hessian block (HAWQ-V2, HAWQ-V3), as `hessian_traces` stops."""

    stop: Stop = field(default_factory=RelativeError)
    most: int = 1000
    batch: int = 64
    seed: int = 0

    def measure(self, sample: Sample) -> dict[str, float]:
        """Tr(H_l) / n_l by layer."""
        traces = hessian_traces(
            sample.model,
            sample.layers,
            sample.images,
            sample.labels,
            stop=self.stop,
            most=self.most,
            batch=self.batch,
            seed=self.seed,
            progress=lambda traces: _tell(sample, traces),
        )
        return traces.mean


def _tell(sample: Sample, traces: Traces) -> None:
    _say(
        sample,
        f"Hessian traces: {traces.probes} probes, "
        f"largest standard error {100 * traces.relative_error:.1f} %",
    )


def _say(sample: Sample, line: str) -> None:
    if sample.progress is not None:
        sample.progress(line)


@dataclass(frozen=True)
class TopEigenvalue(Curvature):
    """Absolute top eigenvalue of the layer's Hessian block (HAWQ, Dong et al. 2019)."""

    tolerance: float = 1e-3
    seed: int = 0

    def measure(self, sample: Sample) -> dict[str, float]:
        """|lambda_max(H_l)| by layer."""
        values = top_eigenvalues(
            sample.model, sample.layers, sample.images, sample.labels, self.tolerance, self.seed
        )
        return {name: abs(value) for name, value in values.items()}


@dataclass(frozen=True)
class Sqnr(Sensitivity):
    """Omega = 1/SQNR(W) + 1/SQNR(x): noise over signal of a layer's two factors.

    1/SQNR(w x) = 1/SQNR(w) + 1/SQNR(x) (Lin, Talathi and Annapureddy, ICML 2016).
    """

    def __call__(self, sample: Sample) -> Omega:
        """Needs forward passes only, and none for weights."""

        @cache
        def weight_noise(layer: str, bits: int) -> float:
            signal = float(sample.layers[layer].weight.detach().double().square().sum())
            return sample.weight_error(layer, bits) / signal if signal else 0.0

        noise = cache(lambda bits: input_noise(sample, bits))
        return lambda layer, weight, activation: (
            weight_noise(layer, weight) + noise(activation)[layer]
        )


@torch.no_grad()
def input_noise(sample: Sample, bits: int) -> dict[str, float]:
    """||Q(x) - x||^2 / ||x||^2 of every layer's input x at `bits`."""
    noise: dict[str, float] = {}

    def hook(name: str):
        def called(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0]
            error = (sample.quantized_input(x, bits) - x).double().square().sum()
            noise[name] = float(error / x.double().square().sum().clamp(min=1e-300))

        return called

    handles = [layer.register_forward_pre_hook(hook(n)) for n, layer in sample.layers.items()]
    try:
        evaluated(sample.model, sample.images)
    finally:
        for handle in handles:
            handle.remove()
    return noise


@dataclass(frozen=True)
class LossIncrease(Sensitivity):
    """Omega = the rise of the loss when this layer alone is quantized, at least 0.

    One forward pass per layer and pair of widths that is asked for; layers count as independent.
    """

    def __call__(self, sample: Sample) -> Omega:
        """Mean cross-entropy over the sample's images."""
        base = cache(lambda: _loss(sample, None, FLOAT, FLOAT))
        return cache(
            lambda layer, weight, activation: max(
                0.0, _loss(sample, layer, weight, activation) - base()
            )
        )


@torch.no_grad()
def _loss(sample: Sample, layer: str | None, weight: int, activation: int) -> float:
    """The loss with one layer's weight and input quantized."""
    if layer is None:
        return float(
            functional.cross_entropy(evaluated(sample.model, sample.images), sample.labels)
        )
    handle = sample.layers[layer].register_forward_pre_hook(
        lambda _, inputs: (sample.quantized_input(inputs[0], activation), *inputs[1:])
    )
    weights = {f"{layer}.weight": sample.quantized_weight(layer, weight)}
    try:
        logits = evaluated(sample.model, sample.images, weights)
    finally:
        handle.remove()
    return float(functional.cross_entropy(logits, sample.labels))


def evaluated(
    model: nn.Module, images: Tensor, weights: Mapping[str, Tensor] | None = None
) -> Tensor:
    """Logits of the model as evaluated, with some parameters replaced."""
    with evaluating(model):
        return functional_call(model, dict(weights or {}), (images,))
