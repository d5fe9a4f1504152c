"""Samples of what a layer reads and gives: the data that TSQ's second step is solved on."""

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from dyadic.network.layers import Layer, module_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.schedules.calibration import BATCH


class Sampler:
    """Draws the same output positions of the same images, whatever tensor they are taken from."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.generator = count, torch.Generator().manual_seed(seed)

    def draw(self, images: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Indices (image, row, column), int64 [count] each."""
        index = torch.randint(images * height * width, (self.count,), generator=self.generator)
        return index // (height * width), index // width % height, index % width


def sample_outputs(
    sampler: Sampler, network: QuantizedNetwork, node: fx.Node, images: Tensor
) -> Tensor:
    """A node's values at the sampled positions, [N, F]."""
    rows = []
    module = module_of(network.body, node)
    assert module is not None
    for batch in images.split(BATCH):
        value = _capture(network, module, batch)[1]
        maps = value if value.ndim == 4 else value[:, :, None, None]
        image, row, column = sampler.draw(len(maps), *maps.shape[2:])
        rows.append(maps[image, :, row, column])
    return torch.cat(rows)


def sample_inputs(
    sampler: Sampler, network: QuantizedNetwork, layer: Layer, images: Tensor
) -> Tensor:
    """The inputs that a layer's outputs at the sampled positions are made of, [N, groups, m]."""
    rows = []
    module = network.get_submodule(f"body.{layer.name}")
    for batch in images.split(BATCH):
        value, output = _capture(network, module, batch)
        if isinstance(module, nn.Conv2d):
            positions = sampler.draw(len(output), *output.shape[2:])
            rows.append(patches(value, module, *positions))
        else:
            rows.append(value[sampler.draw(len(value), 1, 1)[0]][:, None])
    return torch.cat(rows)


def patches(x: Tensor, conv: nn.Conv2d, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The input patch of each output position, [N, groups, m], in the order of the weight."""
    assert isinstance(conv.padding, tuple), "padding given as text has no numbers"
    top, left = conv.padding
    padded = F.pad(x, (left, left, top, top))
    height, width = (torch.arange(k, device=x.device) for k in conv.kernel_size)
    rows = (row * conv.stride[0])[:, None] + height * conv.dilation[0]
    columns = (column * conv.stride[1])[:, None] + width * conv.dilation[1]
    patch = padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return patch.permute(0, 3, 1, 2).reshape(len(image), conv.groups, -1)


def _capture(network: nn.Module, module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What a module reads and gives while the network sees the images."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((inputs[0], output))

    handle = module.register_forward_hook(keep)
    network(images)
    handle.remove()
    return seen[0]
