"""PACT and LSQ: gradients against the papers' formulas, and where the range starts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.quantizers.cases import tensors
from torch import Tensor

from dyadic.quantizers import Lsq, Pact


def started(quantizer: Lsq | Pact, size: float) -> Lsq | Pact:
    quantizer.observe(torch.ones(1))
    quantizer.size.data.fill_(size)
    return quantizer


@pytest.mark.parametrize("signed", [True, False])
def test_pact_gradients(signed: bool) -> None:
    pact = started(Pact(3, signed), 2.0)
    x = torch.tensor([-5.0, -1.0, 0.5, 1.9, 2.5, 7.0], requires_grad=True)
    gradient = torch.tensor([1.0, 10.0, 100.0, 1e3, 1e4, 1e5])
    pact(x).backward(gradient)
    assert x.grad is not None
    assert pact.size.grad is not None
    inside = [0.0, 10.0 if signed else 0.0, 100.0, 1e3, 0.0, 0.0]
    assert x.grad.tolist() == inside
    assert pact.size.grad.item() == 1e4 + 1e5 - (1.0 if signed else 0.0)


@given(x=tensors, signed=st.booleans(), size=st.floats(0.05, 2.0))
def test_lsq_gradients(x: Tensor, signed: bool, size: float) -> None:
    lsq = started(Lsq(3, signed), size)
    ratio = x / lsq.size.detach()
    if ((ratio - ratio.floor() - 0.5).abs() < 1e-3).any():
        return
    x = x.requires_grad_()
    lsq(x).sum().backward()
    assert x.grad is not None
    assert lsq.size.grad is not None
    inside = (ratio > lsq.lo) & (ratio < lsq.hi)
    edge = (ratio == lsq.lo) | (ratio == lsq.hi)
    outside = ratio.clamp(lsq.lo, lsq.hi)
    expected = torch.where(inside, ratio.round() - ratio, outside).sum()
    gain = (x.numel() * lsq.hi) ** -0.5
    if not edge.any():
        assert torch.equal(x.grad, inside.float())
        torch.testing.assert_close(lsq.size.grad, expected * gain, atol=1e-4, rtol=1e-4)


def test_the_first_tensor_starts_the_size_and_no_later_one() -> None:
    first, second = torch.tensor([1.0, -3.0]), torch.tensor([50.0])
    pact, lsq = Pact(4, signed=True), Lsq(4)
    for quantizer, size in ((pact, 3.0), (lsq, 2 * 2.0 / 7**0.5)):
        asked = quantizer.codebook(first).scale
        quantizer(first)
        quantizer(second)
        assert quantizer.size.item() == pytest.approx(size)
        assert torch.equal(quantizer.codebook(second).scale, asked)


def test_a_resumed_quantizer_does_not_start_again() -> None:
    first, second = Lsq(4), Lsq(4)
    first(torch.randn(10))
    second.load_state_dict(first.state_dict())
    second(torch.randn(10) * 100)
    assert second.size.item() == first.size.item()


def test_a_step_is_learned() -> None:
    x = torch.randn(2000)
    lsq = started(Lsq(3), 2.0)
    optimizer = torch.optim.SGD(lsq.parameters(), lr=0.1)
    errors = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = (lsq(x) - x).square().mean() * len(x) ** 0.5
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < errors[0] / 4


def test_lsq_counts_the_features_of_one_image_and_not_the_images() -> None:
    def step_gradient(images: int) -> float:
        lsq = started(Lsq(3, signed=False, batched=True), 0.3)
        lsq(torch.linspace(0.01, 1, 12).repeat(images, 1)).sum().backward()
        assert lsq.size.grad is not None
        return lsq.size.grad.item()

    assert step_gradient(8) == pytest.approx(8 * step_gradient(1), rel=1e-5)
