"""How much harm a width does to a layer: omega, the ILP's objective, in four ways.

A sensitivity looks at a float network and some images once it is asked, and answers for any width.
"""

import hashlib
from abc import ABC, abstractmethod
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial

import torch
from torch import Tensor, nn

from dyadic.allocation.problem import Omega
from dyadic.allocation.sensitivity.eigenvalue import top_eigenvalue
from dyadic.allocation.sensitivity.hessian import RelativeError, Stop, Traces, hessian_traces
from dyadic.allocation.sensitivity.sample import Sample
from dyadic.record.files import Damaged, read_sealed, write_sealed


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
            sample.progress(f"{error}; the curvature is measured again")
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

        def report(traces: Traces) -> None:
            error = f"largest standard error {100 * traces.relative_error:.1f} %"
            sample.progress(f"Hessian traces: {traces.probes} probes, {error}")

        return hessian_traces(
            sample.model, sample.layers, sample.images, sample.labels,
            self.stop, self.most, self.batch, self.seed, report,
        ).mean  # fmt: skip


@dataclass(frozen=True)
class TopEigenvalue(Curvature):
    """Absolute top eigenvalue of the layer's Hessian block (HAWQ, Dong et al. 2019)."""

    tolerance: float = 1e-3
    seed: int = 0

    def measure(self, sample: Sample) -> dict[str, float]:
        """|lambda_max(H_l)| by layer."""
        top = partial(
            top_eigenvalue, sample.model,
            images=sample.images, labels=sample.labels, tolerance=self.tolerance, seed=self.seed,
        )  # fmt: skip
        return {name: abs(top(layer.weight)) for name, layer in sample.layers.items()}


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

        noise = cache(partial(input_noise, sample))
        return lambda layer, weight, activation: (
            weight_noise(layer, weight) + noise(activation)[layer]
        )


@torch.no_grad()
def input_noise(sample: Sample, bits: int) -> dict[str, float]:
    """||Q(x) - x||^2 / ||x||^2 of every layer's input x at `bits`."""
    noise: dict[str, float] = {}

    def measure(name: str, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0]
        error = (sample.quantized_input(x, bits) - x).double().square().sum()
        noise[name] = float(error / x.double().square().sum().clamp(min=1e-300))

    with ExitStack() as hooks:
        for name, layer in sample.layers.items():
            hooks.enter_context(layer.register_forward_pre_hook(partial(measure, name)))
        sample.logits()
    return noise


@dataclass(frozen=True)
class LossIncrease(Sensitivity):
    """Omega = the rise of the loss when this layer alone is quantized, at least 0.

    One forward pass per layer and pair of widths that is asked for; layers count as independent.
    """

    def __call__(self, sample: Sample) -> Omega:
        """Mean cross-entropy over the sample's images."""
        base = cache(sample.loss)
        return cache(lambda *choice: max(0.0, quantized_loss(sample, *choice) - base()))


def quantized_loss(sample: Sample, layer: str, weight: int, activation: int) -> float:
    """The loss with one layer's weight and input quantized."""
    weights = {f"{layer}.weight": sample.quantized_weight(layer, weight)}
    with sample.layers[layer].register_forward_pre_hook(
        lambda _, inputs: sample.quantized_input(inputs[0], activation)
    ):
        return sample.loss(weights)
