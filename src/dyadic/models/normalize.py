"""Normalization as a network's first layer: networks and integer programs take uint8 images."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

BODY_PREFIX = "body."


class Statistics(Protocol):
    """Mean and standard deviation of each channel, on the scale where white is 1."""

    mean: Sequence[float]
    std: Sequence[float]


class NormalizePixels(nn.Module):
    """(x / 255 - mean) / std for each channel; images [N, C, H, W], uint8 or float, 0 to 255.

    >>> black_and_white = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
    >>> NormalizePixels([0.5], [0.25])(black_and_white).flatten()
    tensor([-2.,  2.])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images.to(self.mean.dtype) / 255 - self.mean) / self.std


class Normalized(nn.Sequential):
    """A network on uint8 images: children `normalize` and `body`, the network on floats.

    Its layers are named as in `body`, without BODY_PREFIX.
    """

    def __init__(self, normalize: NormalizePixels, body: nn.Module) -> None:
        super().__init__(OrderedDict(normalize=normalize, body=body))


def normalized(body: nn.Module, statistics: Statistics) -> Normalized:
    """The network with the data set's normalization in front."""
    return Normalized(NormalizePixels(statistics.mean, statistics.std), body)
