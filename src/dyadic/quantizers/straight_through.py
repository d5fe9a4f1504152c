"""Straight-through rules: the derivative that the backward pass uses for a staircase.

Each rule is a function of the input x, the quantized value and the codebook, and returns a tensor
that equals the value and whose gradient with respect to x is the rule's derivative.
"""

from collections.abc import Callable

from torch import Tensor

from dyadic.quantizers.codebook import Codebook

StraightThrough = Callable[[Tensor, Tensor, Codebook], Tensor]


def _surrogate(value: Tensor, surrogate: Tensor) -> Tensor:
    """`value` forward, the gradient of `surrogate` backward (value + s - s would round)."""
    return surrogate + (value - surrogate).detach()


def identity(x: Tensor, value: Tensor, book: Codebook) -> Tensor:
    """Derivative 1 everywhere (Bengio et al. 2013; HAWQ-V3, BinaryRelax)."""
    return _surrogate(value, x)
