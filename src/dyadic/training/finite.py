"""A loss that is not finite ends a run in one line: where it began, and what to try."""

import math
from contextlib import ExitStack
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dyadic.errors import UserError

LOOK = 50  # steps between two looks at a loss whose device would be waited for
TRY = "try a lower learning rate, a longer warmup, or precision=32-true"


def refuse_infinite(loss: float, where: str) -> None:
    """Raise UserError unless a loss is finite; `where` says of what and when."""
    if not math.isfinite(loss):
        raise UserError(f"{where}: the loss is {loss}; {TRY}")


def check_step(loss: Tensor, network: nn.Module, images: Tensor, epoch: int) -> None:
    """Raise UserError where the loss of a training step, of any process, is not finite.

    All processes stop together: one that waited for another's gradient would wait for ever.
    """
    finite = torch.isfinite(loss.detach()).int()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(finite, dist.ReduceOp.MIN)
    if not finite:
        layer = first_infinite(network, images)
        refuse_infinite(math.nan, f"epoch {epoch + 1}, {layer or 'the loss alone'}")


@torch.no_grad()
def first_infinite(network: nn.Module, images: Tensor) -> str:
    """The first layer, as images pass, whose weights or output are not finite; "" for none."""
    found: list[str] = []

    def look(name: str, module: nn.Module, inputs: object, output: object) -> None:
        kinds = {"weights": list(module.parameters()), "output": [output]}
        for kind, tensors in kinds.items():
            if any(isinstance(x, Tensor) and not torch.isfinite(x).all() for x in tensors):
                found.append(f"{kind} of layer {name.removeprefix('body.')}")

    with ExitStack() as hooks:
        for name, module in network.named_modules():
            if name and not list(module.children()):
                hook = partial(look, name)
                hooks.enter_context(module.register_forward_hook(hook))
        network(images)
    return next(iter(found), "")
