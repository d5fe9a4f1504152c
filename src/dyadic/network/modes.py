"""Measuring a model without leaving a trace: modes and gradients are put back as they were."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode; afterwards each in its own mode again."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def differentiating(model: nn.Module, weights: Sequence[Tensor]) -> Iterator[None]:
    """The model as evaluated, with `weights` and no other parameter differentiated."""
    wanted = {parameter: parameter.requires_grad for parameter in model.parameters()}
    try:
        model.requires_grad_(False)
        for weight in weights:
            weight.requires_grad_()
        with evaluating(model), torch.enable_grad():
            yield
    finally:
        for parameter, differentiated in wanted.items():
            parameter.requires_grad_(differentiated)
