"""Squared norms of weight gradients, one per sample, without keeping the gradients.

For one sample the weight gradient of a convolution or fully connected layer is  G = D X^T,  with
the unfolded input X [inputs, positions] and the output's gradient D [outputs, positions]. Where
there are few positions, ||G||^2 = sum of (X^T X) * (D^T D) needs less work than G itself
(Goodfellow 2015, arXiv 1510.01799; for convolutions Bu et al. 2022, arXiv 2205.10683).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

# Samples are taken in chunks whose unfolded input has at most this many values.
CHUNK = 2**22


def squared_norms(layer: nn.Conv2d | nn.Linear, x: Tensor, delta: Tensor) -> Tensor:
    """||d f_i / d W||^2 for every sample i, float64 [batch].

    x     input of the layer, [batch, ...]
    delta gradient of f with respect to the layer's output, [batch, ...]
    """
    step = max(1, CHUNK * len(x) // max(1, _unfolded_size(layer, x, delta)))
    chunks = zip(x.split(step), delta.split(step), strict=True)
    return torch.cat([_squared_norms(*_matrices(layer, a, b)) for a, b in chunks])


def _unfolded_size(layer: nn.Conv2d | nn.Linear, x: Tensor, delta: Tensor) -> int:
    if isinstance(layer, nn.Linear):
        return x.numel()
    rows, columns = layer.kernel_size
    return len(x) * layer.in_channels * rows * columns * delta[0, 0].numel()


def _matrices(layer: nn.Conv2d | nn.Linear, x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """X [batch, groups, inputs, positions] and D [batch, groups, outputs, positions]."""
    if isinstance(layer, nn.Linear):
        pair = (t.reshape(len(t), -1, t.shape[-1]).transpose(1, 2)[:, None] for t in (x, delta))
        return next(pair), next(pair)
    padding = cast(tuple[int, int], layer.padding)
    columns = functional.unfold(x, layer.kernel_size, layer.dilation, padding, layer.stride)
    positions = columns.shape[-1]
    shape = len(x), layer.groups, -1, positions
    return columns.reshape(shape), delta.reshape(shape)


def _squared_norms(x: Tensor, delta: Tensor) -> Tensor:
    positions, inputs, outputs = x.shape[-1], x.shape[-2], delta.shape[-2]
    if positions * (inputs + outputs) < inputs * outputs:
        product = (x.transpose(2, 3) @ x) * (delta.transpose(2, 3) @ delta)
    else:
        product = (delta @ x.transpose(2, 3)).square()
    return product.sum(dim=(1, 2, 3), dtype=torch.float64)
