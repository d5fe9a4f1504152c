"""Hessian traces of piecewise linear networks from first derivatives.

Let f(W) be the logits as a function of one layer's weights. With ReLU, max pooling and fixed batch
norm f is piecewise linear in W (each layer's own block; not in all layers at once), so its second
derivative vanishes almost everywhere and the layer's block of the Hessian *equals* its Gauss-Newton
part, for the mean cross-entropy over B samples with probabilities p:

    H = 1/B sum_i J_i^T A_i J_i,   A = diag(p) - p p^T = R R^T,   R = diag(sqrt p) - p sqrt(p)^T
    Tr H = 1/B sum_i E_z ||J_i^T R_i z||^2,   z Rademacher

Each probe is one plain backward pass with one independent z per sample, and per-sample gradient
norms keep samples and layers from disturbing one another: Hutchinson's variance without its
cross terms. The z of one sample are rows of a Hadamard matrix under random signs, drawn without
replacement, so that the estimate is exact after as many probes as the matrix has rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dyadic.allocation.sensitivity.per_sample import squared_norms
from dyadic.network.modes import differentiating

# Nodes of autograd's graph through which the logits stay piecewise linear in every single layer.
PIECEWISE_LINEAR = frozenset(
    f"{name}Backward0"
    for name in (
        *("Convolution", "Addmm", "Mm", "T", "NativeBatchNorm", "CudnnBatchNorm", "Add", "Sub"),
        *("Relu", "Hardtanh", "LeakyRelu", "MaxPool2DWithIndices", "AvgPool2D", "Neg", "Cat"),
        *("AdaptiveAvgPool2D", "View", "UnsafeView", "ReshapeAlias", "Clone", "Alias", "Slice"),
        *("Select", "Permute", "Transpose", "Unsqueeze", "Squeeze", "Expand", "ConstantPadNd"),
    )
) | {
    *("MeanBackward1", "SqueezeBackward1", "SumBackward1", "AsStridedBackward1"),
    *("ToCopyBackward0", "AccumulateGrad"),
}


@dataclass(frozen=True)
class GaussNewton:
    """Per-sample values of the traces of `layers`, by Gauss-Newton probes.

    batches images in parts that fit into memory together with their graph
    """

    model: nn.Module
    layers: Sequence[nn.Conv2d | nn.Linear]
    batches: Sequence[Tensor]
    seed: int

    def applies(self) -> bool:
        """Whether the logits are piecewise linear in every layer, by autograd's own graph."""
        plain = all(
            isinstance(layer, nn.Linear)
            or (layer.padding_mode == "zeros" and not isinstance(layer.padding, str))
            for layer in self.layers
        )
        with _watched(self.model, self.layers) as watch:
            logits = self.model(self.batches[0][:1])
            once = sorted(watch.seen) == list(range(len(self.layers)))
            return plain and once and _nodes(logits) <= PIECEWISE_LINEAR

    def population(self, classes: int) -> int:
        """Number of probes after which the estimate is exact: a power of two."""
        return 1 << (classes - 1).bit_length()

    def __call__(self, probes: Sequence[int]) -> Tensor:
        """Values whose mean over samples estimates the traces, [probes, layers, samples]."""
        parts = [self._batch(index, images, probes) for index, images in enumerate(self.batches)]
        return torch.cat(parts, dim=2)

    def _batch(self, index: int, images: Tensor, probes: Sequence[int]) -> Tensor:
        with _watched(self.model, self.layers) as watch:
            logits = self.model(images)
            generator = torch.Generator().manual_seed(self.seed + index)
            signs = torch.randint(0, 2, logits.shape, generator=generator).to(logits) * 2 - 1
            rows = torch.randperm(self.population(logits.shape[1]), generator=generator)
            p = logits.detach().softmax(dim=1)
            values = []
            for probe in probes:
                z = signs * _hadamard_row(int(rows[probe]), logits.shape[1]).to(logits)
                direction = p.sqrt() * z - p * (p.sqrt() * z).sum(dim=1, keepdim=True)
                torch.autograd.grad(logits, watch.sources, direction, retain_graph=True)
                values.append(torch.stack(watch.values))
        return torch.stack(values).cpu()


def _hadamard_row(row: int, length: int) -> Tensor:
    """(-1)^popcount(row AND column) for the first columns of Sylvester's Hadamard matrix.

    >>> [_hadamard_row(row, 3).tolist() for row in range(4)]
    [[1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]]
    """
    return torch.tensor([1 - 2 * ((row & column).bit_count() % 2) for column in range(length)])


class _Watch:
    """What hooks collect: per-sample squared norms of every layer in the last backward pass.

    seen    layers in the order of their calls
    sources outputs that depend on no other layer, where a backward pass may end
    """

    def __init__(self, layers: Sequence[nn.Conv2d | nn.Linear]) -> None:
        self.layers, self.values = layers, [torch.empty(0)] * len(layers)
        self.seen: list[int] = []
        self.sources: list[Tensor] = []

    def hook(self, index: int):
        """The forward hook of one layer."""

        def called(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            self.seen.append(index)
            is_source = not output.requires_grad
            if is_source:
                self.sources.append(output.requires_grad_())
            x, version = inputs[0].detach(), inputs[0]._version

            def received(delta: Tensor) -> None:
                if x._version != version:
                    raise RuntimeError("a layer's input was changed in place after its call")
                self.values[index] = squared_norms(self.layers[index], x, delta)

            output.register_hook(received)
            # An operation in place is not allowed on a leaf of the graph.
            return output.clone() if is_source else None

        return called


@contextmanager
def _watched(model: nn.Module, layers: Sequence[nn.Conv2d | nn.Linear]) -> Iterator[_Watch]:
    """The model as evaluated, no parameter differentiated, with hooks on `layers`."""
    watch = _Watch(layers)
    with ExitStack() as hooks, differentiating(model, []):
        for index, layer in enumerate(layers):
            hooks.enter_context(layer.register_forward_hook(watch.hook(index)))
        yield watch


def _nodes(output: Tensor) -> set[str]:
    """Names of all nodes of autograd's graph behind a tensor."""
    seen, names, waiting = set(), set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.add(node.name().removeprefix("torch::autograd::"))
            waiting += [after for after, _ in node.next_functions]
    return names
