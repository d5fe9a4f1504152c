"""Squared norms of weight gradients, sample by sample."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dyadic.allocation.sensitivity import per_sample
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


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("room", [5.0, 5.9, 0.5])
def test_samples_are_taken_in_chunks_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch, groups: int, room: float
) -> None:
    layer = nn.Conv2d(4, 6, (3, 2), 2, padding=1, groups=groups).double()
    x = torch.randn(12, 4, 8, 9, dtype=torch.float64)
    delta = torch.randn_like(layer(x))
    norms, sizes = squared_norms(layer, x, delta), []
    unfolded = 4 * 3 * 2 * delta[0, 0].numel()

    def watched(columns: Tensor, delta: Tensor) -> Tensor:
        assert columns.numel() == len(columns) * unfolded
        sizes.append(len(columns))
        return plain(columns, delta)

    plain = per_sample._squared_norms
    monkeypatch.setattr(per_sample, "_squared_norms", watched)
    monkeypatch.setattr(per_sample, "CHUNK", int(room * unfolded))
    assert torch.allclose(squared_norms(layer, x, delta), norms)
    assert sizes == ([1] * 12 if room < 1 else [5, 5, 2])
