"""Batch norm: folding into the weights before it, and freezing its statistics.

W' = gamma * W / sqrt(var + eps),  b' = beta + gamma * (b - mean) / sqrt(var + eps)

(HAWQ-V3, section 3.2; Gholami et al., section IV-A.) Folding happens before quantization; weights
that are powers of two keep their batch norm, which joins the requantizer's `b / 2**c` instead.
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, fx, nn

from dyadic.errors import UserError
from dyadic.network.layers import NORMS, batch_norm_after, module_of
from dyadic.network.weights import latent_weight


def affine(norm: NORMS) -> tuple[Tensor, Tensor]:
    """Batch norm with fixed statistics as `multiplier * x + shift`, each float64 [C]."""
    mean, var = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    gamma, beta = torch.ones_like(mean), torch.zeros_like(mean)
    if norm.weight is not None:
        gamma = norm.weight.detach().double()
    if norm.bias is not None:
        beta = norm.bias.detach().double()
    multiplier = gamma / torch.sqrt(var + norm.eps)
    return multiplier, beta - mean * multiplier


def freeze_batch_norms(network: nn.Module) -> None:
    """Normalize with the running statistics, and leave them and the affine part as they are."""
    for module in network.modules():
        if isinstance(module, NORMS):
            module.eval().requires_grad_(False)


def folded_pairs(body: fx.GraphModule) -> Iterator[tuple[nn.Conv2d | nn.Linear, NORMS]]:
    """The layers followed by a batch norm of their own, with that batch norm."""
    for node in body.graph.nodes:
        layer = module_of(body, node)
        if isinstance(layer, nn.Conv2d | nn.Linear):
            after = batch_norm_after(body, node)
            norm = None if after is None else module_of(body, after)
            if isinstance(norm, NORMS):
                yield layer, norm


@torch.no_grad()
def fold_in_place(body: fx.GraphModule) -> None:
    """Fold every batch norm behind a layer; what the network computes stays the same.

    A layer's own bias moves into b' and becomes 0. Raises UserError for a batch norm
    without affine parameters: it has no place for b'.
    """
    for layer, norm in folded_pairs(body):
        if norm.weight is None or norm.bias is None:
            raise UserError("folding in place needs batch norm with affine parameters to hold b'")
        multiplier, shift = affine(norm)
        if layer.bias is not None:
            shift = shift + multiplier * layer.bias.double()
            layer.bias.zero_()
        weight = latent_weight(layer)
        weight.copy_(weight.double() * multiplier.reshape(-1, *[1] * (weight.ndim - 1)))
        norm.weight.fill_(1.0)
        norm.bias.copy_(shift)
        cast(Tensor, norm.running_mean).zero_()
        cast(Tensor, norm.running_var).fill_(1.0 - norm.eps)
