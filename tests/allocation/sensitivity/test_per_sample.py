"""Squared norms of weight gradients, sample by sample."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dyadic.allocation.sensitivity.per_sample import squared_norms


@settings(deadline=None)
@given(
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    kernel=st.integers(1, 3),
    size=st.integers(3, 9),
)
def test_per_sample_norms_are_those_of_per_sample_gradients(
    groups: int, stride: int, padding: int, kernel: int, size: int
) -> None:
    torch.manual_seed(size)
    layer = nn.Conv2d(4, 6, kernel, stride, padding, groups=groups).double()
    x = torch.randn(3, 4, size, size, dtype=torch.float64)
    delta = torch.randn_like(layer(x))
    for i, norm in enumerate(squared_norms(layer, x, delta)):
        (gradient,) = torch.autograd.grad(layer(x[i : i + 1]), [layer.weight], delta[i : i + 1])
        assert float(norm) == pytest.approx(float(gradient.square().sum()), rel=1e-9)


def test_per_sample_norms_of_a_linear_layer_over_positions() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5, 4).double()
    x = torch.randn(3, 7, 5, dtype=torch.float64)
    delta = torch.randn(3, 7, 4, dtype=torch.float64)
    gradient = torch.einsum("bpo,bpi->boi", delta, x)
    assert torch.allclose(squared_norms(layer, x, delta), gradient.square().sum(dim=(1, 2)))
