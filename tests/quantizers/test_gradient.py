"""Quantized gradients and post-training bias correction."""

import pytest
import torch
import torch.nn.functional as F

from dyadic.quantizers import Logarithmic, QuantizeGradient, Uniform
from dyadic.quantizers.bias_correction import bias_correction


@pytest.mark.parametrize("quantizer", [Logarithmic(5), Logarithmic(5, base="sqrt2"), Uniform(5)])
def test_the_gradient_is_on_a_codebook_fitted_to_it(quantizer: Logarithmic | Uniform) -> None:
    x, gradient = torch.randn(50, requires_grad=True), torch.randn(50) * 1e-3
    y = QuantizeGradient(quantizer)(x)
    assert torch.equal(y, x)
    y.backward(gradient)
    assert x.grad is not None
    assert torch.equal(x.grad, quantizer.codebook(gradient)(gradient))


@pytest.mark.parametrize("groups", [1, 2])
def test_bias_correction_restores_the_mean_output(groups: int) -> None:
    w, x = torch.randn(6, 4 // groups, 1, 1), torch.randn(8, 4, 5, 5) + 2
    quantized = Uniform(3)(w)
    correction = bias_correction(w, quantized, x.mean(dim=(0, 2, 3)), groups)
    lost = (F.conv2d(x, w, groups=groups) - F.conv2d(x, quantized, groups=groups)).mean((0, 2, 3))
    torch.testing.assert_close(correction, lost, atol=1e-4, rtol=1e-4)


def test_bias_correction_of_a_fully_connected_layer() -> None:
    w, x = torch.randn(6, 10), torch.rand(100, 10)
    quantized = Uniform(3)(w)
    lost = (x @ (w - quantized).T).mean(dim=0)
    torch.testing.assert_close(bias_correction(w, quantized, x.mean(dim=0)), lost)
