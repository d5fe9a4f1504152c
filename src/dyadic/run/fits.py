"""Whether network and images fit each other, asked before anything is trained."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from dyadic.errors import UserError


@torch.no_grad()
def check_fit(model: nn.Module, data: Any, devices: int = 1) -> None:
    """Raise UserError where a network cannot take the images, or does not tell the classes apart.

    model  takes uint8 images; devices share a training batch
    """
    shape = tuple(data.image_shape)
    logits = _logits(copy.deepcopy(model).eval(), torch.zeros(2, *shape, dtype=torch.uint8), shape)
    given = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if given != [2, data.classes]:
        found = f"gives {given} for 2 images"
        if isinstance(logits, Tensor) and logits.ndim == len(logits) == 2:
            found = f"tells {logits.shape[1]} classes apart"
        raise UserError(
            f"the network {found}; {data.name} has {data.classes} classes, so it must give "
            f"logits [N, {data.classes}]"
        )
    part = next(len(labels) for _, labels in data.train_batches(0)) // devices
    if part < 2:
        _check_batch_norm(model, torch.zeros(max(part, 1), *shape, dtype=torch.uint8))


def _logits(model: nn.Module, images: Tensor, shape: tuple[int, ...]) -> Any:
    try:
        return model(images)
    except Exception as error:  # whatever a network raises on images that it cannot take
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        by = "x".join(map(str, shape))
        raise UserError(f"the network does not take images of {by}: {reason}") from error


def _check_batch_norm(model: nn.Module, images: Tensor) -> None:
    try:
        copy.deepcopy(model).train()(images)
    except ValueError as error:
        raise UserError(
            f"a step of training sees one image a device, and batch norm cannot normalize one "
            f"value ({error}); choose a larger batch_size"
        ) from None
