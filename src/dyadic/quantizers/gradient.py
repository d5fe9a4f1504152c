"""Quantized gradients: LogQuant trains with weights, activations and gradients in the log domain.

(Miyashita et al. 2016, section 5: per minibatch, the error signal is quantized like the rest.)
"""

from typing import Any

import torch
from torch import Tensor, nn

from dyadic.quantizers.quantizer import Quantizer


class QuantizeGradient(nn.Module):
    """The identity, whose backward pass quantizes the gradient with a codebook fitted to it.

    quantizer  a signed one, fitted anew to every gradient

    >>> from dyadic.quantizers.logarithmic import Logarithmic
    >>> x = torch.zeros(3, requires_grad=True)
    >>> QuantizeGradient(Logarithmic(bits=4))(x).backward(torch.tensor([1.0, -0.3, 0.0]))
    >>> x.grad
    tensor([ 1.0000, -0.2500,  0.0000])
    """

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        return _Backward.apply(x, self.quantizer)


class _Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantizer: Quantizer) -> Tensor:
        ctx.quantizer = quantizer
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return ctx.quantizer.codebook(gradient)(gradient), None
