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
from dyadic.network.layers import batch_norm_after, module_of
from dyadic.network.weights import latent_weight


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Batch norm with fixed statistics as `multiplier * x + shift`, each float64 [C]."""
    mean, var = cast(Tensor, norm.running_mean).double(), cast(Tensor, norm.running_var).double()
    gamma = norm.weight.detach().double() if norm.affine else torch.ones_like(mean)
    beta = norm.bias.detach().double() if norm.affine else torch.zeros_like(mean)
    multiplier = gamma / torch.sqrt(var + norm.eps)
    return multiplier, beta - mean * multiplier


def freeze_batch_norms(network: nn.Module) -> None:
    """Normalize with the running statistics, and leave them and the affine part as they are."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)


def folded_pairs(body: fx.GraphModule) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions followed by a batch norm of their own, with that batch norm."""
    for node in body.graph.nodes:
        conv = module_of(body, node)
        norm_node = batch_norm_after(body, node) if isinstance(conv, nn.Conv2d) else None
        if isinstance(conv, nn.Conv2d) and norm_node is not None:
            yield conv, cast(nn.BatchNorm2d, module_of(body, norm_node))


@torch.no_grad()
def fold_in_place(body: fx.GraphModule) -> None:
    """Fold every batch norm behind a convolution; what the network computes stays the same.

    A convolution's own bias moves into b' and becomes 0. Raises UserError for a batch norm
    without affine parameters: it has no place for b'.
    """
    for conv, norm in folded_pairs(body):
        if not norm.affine:
            raise UserError("folding in place needs batch norm with affine parameters to hold b'")
        multiplier, shift = affine(norm)
        if conv.bias is not None:
            shift = shift + multiplier * conv.bias.double()
            conv.bias.zero_()
        weight = latent_weight(conv)
        weight.copy_(weight.double() * multiplier.reshape(-1, 1, 1, 1))
        norm.weight.fill_(1.0)
        norm.bias.copy_(shift)
        cast(Tensor, norm.running_mean).zero_()
        cast(Tensor, norm.running_var).fill_(1.0 - norm.eps)
