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
    return windows[torch.arange(len(images)), :, rows, columns]


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Left and right exchanged where `which` (bool [N]) says so."""
    return torch.where(which[:, None, None, None], images.flip(3), images)


def resized(images: Tensor, size: int) -> Tensor:
    """Bilinear, antialiased, to size x size pixels; uint8 in, uint8 out."""
    if images.shape[2:] == (size, size):
        return images
    # In float: torch's uint8 kernel differs with the processor, and fails on some shapes.
    found = F.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return found.round().clamp(0, 255).to(torch.uint8)
