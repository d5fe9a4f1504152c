"""Granularity: which weights share a scale (Gholami et al., section III-E).

A tensor is cut into *rows*, one for each scale: statistics are functions of the rows [R, n] and
return [R], and `spread` gives them the shape that broadcasts against the tensor.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from dyadic.errors import UserError
from dyadic.quantizers.codebook import memory_order


class Granularity(ABC):
    """Cuts a tensor into rows that share a scale."""

    @abstractmethod
    def rows(self, x: Tensor) -> Tensor:
        """The values of x, [R, n]: a row for each scale."""

    @abstractmethod
    def spread(self, statistic: Tensor, shape: torch.Size) -> Tensor:
        """A statistic of the rows, [R], broadcastable against a tensor of that shape."""


@dataclass(frozen=True)
class PerTensor(Granularity):
    """One scale for all (layer-wise)."""

    def rows(self, x: Tensor) -> Tensor:
        # In memory order, so that a channels-last tensor is not copied.
        return x.permute(memory_order(x)).reshape(1, -1)

    def spread(self, statistic: Tensor, shape: torch.Size) -> Tensor:
        return statistic[0]


@dataclass(frozen=True)
class PerChannel(Granularity):
    """A scale for each output channel, axis 0 of a weight."""

    def rows(self, x: Tensor) -> Tensor:
        return x.reshape(len(x), -1)

    def spread(self, statistic: Tensor, shape: torch.Size) -> Tensor:
        return statistic.view(-1, *[1] * (len(shape) - 1))


@dataclass(frozen=True)
class PerGroup(Granularity):
    """A scale for every `size` output channels; a smaller last group repeats its last channel."""

    size: int

    def rows(self, x: Tensor) -> Tensor:
        return _padded(x.reshape(len(x), -1), self.size, 0).reshape(_parts(len(x), self.size), -1)

    def spread(self, statistic: Tensor, shape: torch.Size) -> Tensor:
        channels = statistic.repeat_interleave(self.size)[: shape[0]]
        return channels.view(-1, *[1] * (len(shape) - 1))


@dataclass(frozen=True)
class PerBlock(Granularity):
    """A scale for every `size` weights of a filter (sub-channel-wise); the last repeats its end."""

    size: int

    def rows(self, x: Tensor) -> Tensor:
        return _padded(x.reshape(len(x), -1), self.size, 1).reshape(-1, self.size)

    def spread(self, statistic: Tensor, shape: torch.Size) -> Tensor:
        blocks = statistic.view(shape[0], -1).repeat_interleave(self.size, dim=1)
        return blocks[:, : shape[1:].numel()].reshape(shape)


def _parts(length: int, size: int) -> int:
    return -(-length // size)


def _padded(matrix: Tensor, size: int, axis: int) -> Tensor:
    """The matrix with its last row or column repeated up to a multiple of size."""
    length = matrix.shape[axis]
    index = torch.arange(_parts(length, size) * size, device=matrix.device)
    return matrix.index_select(axis, index.clamp_max(length - 1))


WHOLE: dict[str, Granularity] = {"per_tensor": PerTensor(), "per_channel": PerChannel()}
SIZED: dict[str, type[PerGroup] | type[PerBlock]] = {"per_group": PerGroup, "per_block": PerBlock}


def granularity_of(name: str, size: int | None = None) -> Granularity:
    """The granularity of a name, with the size of a group or block.

    Raises: UserError for an unknown name, or a size that is missing, meaningless or below 1.
    """
    if name in WHOLE and size is None:
        return WHOLE[name]
    if name in SIZED and size is not None and size >= 1:
        return SIZED[name](size)
    if name in SIZED or name in WHOLE:
        right = "a size of at least 1" if name in SIZED else "no size"
        raise UserError(f"granularity {name} with size {size}; it takes {right}")
    raise UserError(f"unknown granularity {name!r}; known are {', '.join([*WHOLE, *SIZED])}")
