"""Augmentation of whole batches of uint8 images [N, C, H, W], with the choices as arguments."""

import torch
import torch.nn.functional as F
from torch import Tensor


def shifted(images: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Zero padding on all sides, then a crop of the old size (He et al. 2015, section 4.2).

    offsets int64 [N, 2], row and column of each crop, 0 .. 2 * padding; `padding` is the centre.
    """
    if padding == 0:
        return images
    height, width = images.shape[2:]
    padded = F.pad(images, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: every crop of every image
    rows, columns = offsets.unbind(1)
    return windows[torch.arange(len(images), device=images.device), :, rows, columns]


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Left and right exchanged where `which` (bool [N]) says so."""
    return torch.where(which[:, None, None, None], images.flip(3), images)


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, antialiased, to (height, width); uint8 in, uint8 out."""
    if images.shape[2:] == size:
        return images
    # In float: torch's uint8 kernel differs with the processor, and fails on some shapes.
    found = F.interpolate(images.float(), size, mode="bilinear", antialias=True)
    return found.round().to(torch.uint8)  # means of pixels: within 0 .. 255


def centred(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of the images, (height, width) pixels; they are at least as large."""
    top, left = ((n - m) // 2 for n, m in zip(images.shape[2:], size, strict=True))
    return images[..., top : top + size[0], left : left + size[1]]


def covering(images: Tensor, size: tuple[int, int], times: float) -> Tensor:
    """Resized, sides in proportion, to cover `times` (at least 1) the size; then the middle of it.

    ImageNet's networks are scored with `times` = 256/224.
    """
    height, width = images.shape[2:]
    scale = times * max(size[0] / height, size[1] / width)
    return centred(resized(images, (round(scale * height), round(scale * width))), size)


def lit(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Pixels times `brightness`, their distance to the image's mean times `contrast`; each [N]."""
    values = images.float() * brightness[:, None, None, None]
    mean = values.mean((1, 2, 3), keepdim=True)
    values = mean + (values - mean) * contrast[:, None, None, None]
    return values.round().clamp(0, 255).to(torch.uint8)
