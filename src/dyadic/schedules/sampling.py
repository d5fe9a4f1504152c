"""Samples of what layers read and give: the data that TSQ's second step is solved on."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.network.quantized import CALIBRATION_BATCH, QuantizedNetwork

Take = Callable[[Tensor, Tensor], Tensor]  # (input, output) of a module -> rows of samples


class Sampler:
    """Draws the same output positions for every tensor of the same batches and size."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.generator = count, torch.Generator().manual_seed(seed)

    def draw(self, images: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Indices (image, row, column), int64 [count] each."""
        index = torch.randint(images * height * width, (self.count,), generator=self.generator)
        return index // (height * width), index // width % height, index % width


def outputs(sampler: Sampler) -> Take:
    """Takes a module's output at sampled positions, [count, F] a batch."""

    def take(x: Tensor, y: Tensor) -> Tensor:
        maps = y if y.ndim == 4 else y[:, :, None, None]
        image, row, column = sampler.draw(len(maps), *maps.shape[2:])
        return maps[image, :, row, column]

    return take


def inputs(sampler: Sampler, layer: nn.Conv2d | nn.Linear) -> Take:
    """Takes what a layer's outputs at sampled positions are made of, [count, groups, m] a batch."""

    def take(x: Tensor, y: Tensor) -> Tensor:
        if isinstance(layer, nn.Conv2d):
            return input_patches(x, layer, *sampler.draw(len(y), *y.shape[2:]))
        return x[sampler.draw(len(x), 1, 1)[0]][:, None]

    return take


def input_patches(x: Tensor, conv: nn.Conv2d, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The input patch of each output position, [N, groups, m], in the order of the weight."""
    assert isinstance(conv.padding, tuple), "padding given as text has no numbers"
    top, left = conv.padding
    padded = F.pad(x, (left, left, top, top))
    height, width = (torch.arange(k) for k in conv.kernel_size)
    rows = (row * conv.stride[0])[:, None] + height * conv.dilation[0]
    columns = (column * conv.stride[1])[:, None] + width * conv.dilation[1]
    patch = padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return patch.permute(0, 3, 1, 2).reshape(len(image), conv.groups, -1)


@torch.no_grad()
def collect(
    network: QuantizedNetwork, takes: Mapping[nn.Module, Take], images: Tensor
) -> list[Tensor]:
    """What each take gets from its module while the network sees the images."""
    rows: dict[nn.Module, list[Tensor]] = {module: [] for module in takes}

    def keep(module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        rows[module].append(takes[module](args[0], output))

    with ExitStack() as hooks, parametrize.cached():
        for module in takes:
            hooks.enter_context(module.register_forward_hook(keep))
        for batch in images.split(CALIBRATION_BATCH):
            network(batch)
    return [torch.cat(kept) for kept in rows.values()]
