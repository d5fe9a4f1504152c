"""The mean Hessian trace of every layer, to a stated error (HAWQ-V2, Eq. 2.11; HAWQ-V3, Eq. 11)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dyadic.allocation.sensitivity.double_backward import DoubleBackward
from dyadic.allocation.sensitivity.gauss_newton import GaussNewton
from dyadic.network.modes import evaluating

# Below this many degrees of freedom a standard error is itself a guess.
LEAST_FREEDOM = 10.0


@dataclass(frozen=True)
class Traces:
    """Traces of the layers' Hessian blocks, estimated from some probes.

    trace, standard_error float64 [layers]; the error is that of the probes, for these images
    freedom degrees of freedom behind the standard error, the least over the layers
    exact   nothing random is left
    """

    layers: tuple[str, ...]
    parameters: Tensor
    trace: Tensor
    standard_error: Tensor
    probes: int
    freedom: float
    exact: bool

    @property
    def mean(self) -> dict[str, float]:
        """Tr(H) / n per layer, n its number of weights."""
        return dict(zip(self.layers, (self.trace / self.parameters).tolist(), strict=True))

    @property
    def relative_error(self) -> float:
        """The largest standard error of any layer, relative to the absolute value of its trace."""
        return float((self.standard_error / _positive(self.trace.abs())).max())


Stop = Callable[[Traces], bool]


@dataclass(frozen=True)
class RelativeError:
    """Stop when every layer's standard error is at most `tolerance` of its absolute trace."""

    tolerance: float = 0.05

    def __call__(self, traces: Traces) -> bool:
        """Whether the probes so far are enough."""
        return traces.freedom >= LEAST_FREEDOM and traces.relative_error <= self.tolerance


def hessian_traces(
    model: nn.Module,
    layers: Mapping[str, nn.Conv2d | nn.Linear],
    images: Tensor,
    labels: Tensor,
    stop: Stop = RelativeError(),
    most: int = 1000,
    batch: int = 64,
    seed: int = 0,
    progress: Callable[[Traces], None] | None = None,
) -> Traces:
    """Traces of the blocks of the Hessian of the mean cross-entropy, one block per layer's weights.

    images, labels [N, ...] and int64 [N], in batches of `batch`; the model as evaluated
    most           probes at which to stop in any case
    progress       gets the estimate after every round

    From first derivatives where the network is piecewise linear in each layer (`GaussNewton`), by
    Hessian-vector products elsewhere (`DoubleBackward`).
    """
    weights = [layer.weight for layer in layers.values()]
    parameters = torch.tensor([weight.numel() for weight in weights], dtype=torch.float64)
    parts = list(zip(images.split(batch), labels.split(batch), strict=True))
    first = GaussNewton(model, list(layers.values()), [part for part, _ in parts], seed)
    population, size = torch.inf, 16
    curvature: Callable[[Sequence[int]], Tensor] = DoubleBackward(model, weights, parts, seed)
    if first.applies():
        with evaluating(model), torch.no_grad():
            classes = model(images[:1]).shape[1]
        curvature, population, size = first, first.population(classes), 4
    values = torch.empty(0, len(weights), 0, dtype=torch.float64)
    while True:
        done = len(values)
        probes = range(done, int(min(done + size, population, most)))
        new = curvature(probes)
        values = torch.cat([values.reshape(done, *new.shape[1:]), new])
        traces = summarize(tuple(layers), parameters, values, population)
        if progress is not None:
            progress(traces)
        if traces.exact or traces.probes >= most or stop(traces):
            return traces


def summarize(
    layers: tuple[str, ...], parameters: Tensor, values: Tensor, population: float
) -> Traces:
    """Mean and standard error of values [probes, layers, parts] with independent parts.

    The variance over probes is pooled over the parts; drawing probes without replacement from a
    population takes the factor 1 - probes / population. Degrees of freedom after Satterthwaite.
    """
    probes, _, parts = values.shape
    trace = values.mean(dim=(0, 2))
    variance = values.var(dim=0) if probes > 1 else torch.full(values.shape[1:], torch.inf)
    left = 1 - probes / population
    error = (variance.sum(dim=1) * left / probes).sqrt() / parts
    freedom = (probes - 1) * variance.sum(dim=1) ** 2 / _positive((variance**2).sum(dim=1))
    exact = probes >= population
    return Traces(layers, parameters, trace, error, probes, float(freedom.min()), exact)


def _positive(values: Tensor) -> Tensor:
    return values.clamp(min=torch.finfo(values.dtype).tiny)
