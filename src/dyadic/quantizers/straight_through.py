"""Straight-through rules: the derivative that the backward pass uses for a staircase.

Each rule is a function of the input x, the quantized value and the codebook, and returns a tensor
that equals the value, bit for bit, and whose gradient with respect to x is the rule's derivative.
(`x + (value - x).detach()` would round the value.)
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook

StraightThrough = Callable[[Tensor, Tensor, Codebook], Tensor]


def identity(x: Tensor, value: Tensor, book: Codebook | None = None) -> Tensor:
    """Derivative 1 everywhere (Bengio et al. 2013; HAWQ-V3, BinaryRelax)."""
    return _Everywhere.apply(x, value)


def through_relu(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 everywhere, for the ReLU in front too: negative inputs learn (Yin et al. 2019).

    The paper's identity, whose forward pass is the quantized ReLU as a whole. A network that is
    quantized with it has ReLUs of that derivative (`dyadic.network.activations`).
    """
    return identity(x, value, book)


def replaces_relu(rule: StraightThrough) -> bool:
    """Whether a rule, as it is or as a partial function, is `through_relu`."""
    return getattr(rule, "func", rule) is through_relu


def clipped(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 where nothing saturates, `low < x < high` with the codebook's reach, else 0."""
    return _Between.apply(x, value, *book.reach)


def relu(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 for x > 0, else 0: HWGQ's vanilla ReLU (Eq. 9)."""
    zero = torch.zeros_like(book.scale)
    return _Between.apply(x, value, zero, zero + torch.inf)


def half_wave_clipped(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 for 0 < x <= q_m, the largest level, else 0: HWGQ's clipped ReLU (Eq. 10)."""
    high = _largest(book).to(x.dtype)
    above = torch.nextafter(high, torch.full_like(high, torch.inf))
    return _Between.apply(x, value, torch.zeros_like(high), above)


def log_tailed(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 for 0 < x <= q_m, 1 / (x - tau) beyond, else 0; tau = q_m - 1 (HWGQ, Eq. 11).

    The presumed function is q_m + log(x - tau) beyond q_m: continuous, with its derivative.
    """
    return _LogTail.apply(x, value, _largest(book))


def _largest(book: Codebook) -> Tensor:
    return book.scale * book.levels[-1].item()


class _Everywhere(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Between(torch.autograd.Function):
    # x is saved, not a mask: the operation before the quantizer has saved it anyway.
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(x, low, high)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        x, low, high = ctx.saved_tensors
        return _pass_between(gradients[0], x, low, high), None, None, None


def _pass_between(gradient: Tensor, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    if low.ndim == 0 and low.device.type == "cpu":
        # One fused pass instead of three; elsewhere reading the ends would wait for the device.
        return torch.ops.aten.hardtanh_backward(gradient, x, low.item(), high.item())
    return torch.where((x > low) & (x < high), gradient, gradient.new_zeros(()))


class _LogTail(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor, largest: Tensor) -> Tensor:
        ctx.save_for_backward(x, largest)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        x, largest = ctx.saved_tensors
        tail = 1 / (x - (largest - 1)).clamp_min(1)
        return gradients[0] * tail * (x > 0), None, None
