"""The derivative of each rule against its formula, and the value passed on bit for bit."""

import pytest
import torch
from torch import Tensor

from dyadic.quantizers import Codebook, Uniform
from dyadic.quantizers.straight_through import (
    StraightThrough,
    clipped,
    half_wave_clipped,
    identity,
    log_tailed,
    relu,
    through_relu,
)

Q_M = 3.0
X = torch.tensor([-4.0, -3.6, -1.0, 0.0, 1e-6, 1.0, 3.0, 3.4, 3.6, 5.0])
BOOK = Codebook(torch.tensor(1.0), torch.tensor([-3, -2, -1, 0, 1, 2, 3]), 3, margin=0.5)


def derivative(rule: StraightThrough, book: Codebook, x: Tensor = X) -> list[float]:
    x = x.clone().requires_grad_()
    rule(x, book(x.detach()), book).backward(torch.ones_like(x))
    assert x.grad is not None
    return x.grad.tolist()


EXPECTED = {
    identity: lambda x: 1.0,
    through_relu: lambda x: 1.0,
    clipped: lambda x: float(-3.5 < x < 3.5),
    relu: lambda x: float(x > 0),
    half_wave_clipped: lambda x: float(0 < x <= Q_M),
    log_tailed: lambda x: 0.0 if x <= 0 else 1.0 if x <= Q_M else 1 / (x - (Q_M - 1)),
}


@pytest.mark.parametrize("rule", EXPECTED)
def test_derivatives(rule: StraightThrough) -> None:
    expected = [EXPECTED[rule](x) for x in X.tolist()]
    assert derivative(rule, BOOK) == pytest.approx(expected, rel=1e-6)
    spread = Codebook(torch.ones(len(X)), BOOK.integers, 3, margin=0.5)
    assert derivative(rule, spread) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("rule", EXPECTED)
def test_the_value_passes_unrounded(rule: StraightThrough) -> None:
    x = (torch.randn(1000) * 1e4).requires_grad_()
    book = Codebook(torch.tensor(0.1), BOOK.integers, 3)
    assert torch.equal(rule(x, book(x.detach()), book), book(x.detach()))


def test_the_log_tail_is_the_derivative_of_its_function() -> None:
    x = torch.linspace(3.01, 9, 20, dtype=torch.float64).requires_grad_()
    (Q_M + torch.log(x - (Q_M - 1))).sum().backward()
    assert x.grad is not None
    assert derivative(log_tailed, BOOK, x.detach()) == pytest.approx(x.grad.tolist())


def test_clipped_is_the_mask_of_atens_fake_quantization() -> None:
    x = torch.randn(10_000)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    quantizer = Uniform(bits=4)
    quantizer.observe(x / 3)
    quantizer(ours).sum().backward()
    zero = torch.tensor(0, dtype=torch.int32)
    scale = quantizer.codebook().scale
    torch.fake_quantize_per_tensor_affine(theirs, scale, zero, -7, 7).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_the_ends_of_a_channel_saturate() -> None:
    book = Codebook(torch.tensor([[1.0], [2.0]]), BOOK.integers, 3, margin=0.5)
    x = torch.tensor([[-3.5, 0.0, 3.0, 3.5], [-7.0, 0.0, 6.0, 7.0]])
    assert derivative(clipped, book, x) == [[0.0, 1.0, 1.0, 0.0]] * 2
