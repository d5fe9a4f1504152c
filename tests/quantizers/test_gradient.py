"""Quantized gradients."""

import pytest
import torch

from dyadic.quantizers import Logarithmic, QuantizeGradient, Uniform


@pytest.mark.parametrize("quantizer", [Logarithmic(5), Logarithmic(5, base="sqrt2"), Uniform(5)])
def test_the_gradient_is_on_a_codebook_fitted_to_it(quantizer: Logarithmic | Uniform) -> None:
    x, gradient = torch.randn(50, requires_grad=True), torch.randn(50) * 1e-3
    y = QuantizeGradient(quantizer)(x)
    assert torch.equal(y, x)
    y.backward(gradient)
    assert x.grad is not None
    assert torch.equal(x.grad, quantizer.codebook(gradient)(gradient))
