"""Hutchinson's estimator of layer traces for any network, by Hessian-vector products.

Tr H_l = E v_l^T (H v)_l with Rademacher v: one product H v serves all layers at once, because the
cross terms v_l^T H_lm v_m have mean zero (HAWQ-V2; PyHessian, Yao et al. 2020, has one trace for
the whole network). The gradient's graph is built once for a round of probes, and only the probed
weights are differentiated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dyadic.network.modes import differentiating

LabelLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class DoubleBackward:
    """Values of the traces of `weights`, by double backward through `loss(logits, labels)`."""

    model: nn.Module
    weights: Sequence[Tensor]
    batches: Sequence[tuple[Tensor, Tensor]]
    seed: int
    loss: LabelLoss = functional.cross_entropy

    def __call__(self, probes: Sequence[int]) -> Tensor:
        """Values whose mean estimates the traces, float64 [probes, layers, 1]."""
        directions = [self._direction(probe) for probe in probes]
        total = sum(len(labels) for _, labels in self.batches)
        values = torch.zeros(len(probes), len(self.weights), dtype=torch.float64)
        for images, labels in self.batches:
            share = len(labels) / total
            with differentiating(self.model, self.weights):
                loss = self.loss(self.model(images), labels)
                gradient = torch.autograd.grad(loss, self.weights, create_graph=True)
                for row, v in zip(values, directions, strict=True):
                    product = hessian_vector_product(gradient, self.weights, v)
                    row += share * torch.stack(
                        [(a.double() * b).sum().cpu() for a, b in zip(v, product, strict=True)]
                    )
        return values[:, :, None]

    def _direction(self, probe: int) -> list[Tensor]:
        generator = torch.Generator().manual_seed(self.seed + probe)
        return [
            torch.randint(0, 2, w.shape, generator=generator).to(w) * 2 - 1 for w in self.weights
        ]


def hessian_vector_product(
    gradient: Sequence[Tensor], weights: Sequence[Tensor], v: Sequence[Tensor]
) -> list[Tensor]:
    """(H v)_l = d (g . v) / d w_l for every layer."""
    return list(torch.autograd.grad(gradient, weights, v, retain_graph=True))
