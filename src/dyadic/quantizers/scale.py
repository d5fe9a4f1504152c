"""A scale that divides, whatever the weights are."""

import torch
from torch import Tensor


def positive(scale: Tensor) -> Tensor:
    """The scale, but 1 where a tensor is all zeros (or too small to have a reciprocal)."""
    return torch.where(scale < torch.finfo(scale.dtype).tiny, torch.ones_like(scale), scale)
