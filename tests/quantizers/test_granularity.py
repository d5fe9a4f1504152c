"""Rows and scales of each granularity against loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dyadic.quantizers import Uniform
from dyadic.quantizers.granularity import granularity_of

W = torch.arange(1.0, 61.0).reshape(5, 3, 2, 2)


@given(name=st.sampled_from(["per_group", "per_block"]), size=st.integers(1, 20))
def test_each_weight_has_the_largest_of_its_own_group(name: str, size: int) -> None:
    cut = granularity_of(name, size)
    scale = cut.spread(cut.rows(W).amax(dim=1), W.shape).expand(W.shape)
    for o, position in ((o, i) for o in range(5) for i in range(12)):
        flat = W.reshape(5, 12)
        if name == "per_group":
            expected = flat[o // size * size : (o // size + 1) * size].max()
        else:
            expected = flat[o, position // size * size : (position // size + 1) * size].max()
        assert scale.reshape(5, 12)[o, position] == expected


@pytest.mark.parametrize(
    ("name", "size", "scales"),
    [("per_tensor", None, 1), ("per_channel", None, 5), ("per_group", 2, 3), ("per_block", 5, 15)],
)
def test_number_of_scales(name: str, size: int | None, scales: int) -> None:
    assert len(granularity_of(name, size).rows(W)) == scales


def test_finer_scales_have_smaller_errors() -> None:
    w = torch.randn(16, 64) * torch.rand(16, 1)
    errors = [
        (Uniform(4, granularity=name, group_size=size)(w) - w).square().sum().item()
        for name, size in [
            ("per_tensor", None),
            ("per_group", 4),
            ("per_channel", None),
            ("per_block", 8),
        ]
    ]
    assert errors == sorted(errors, reverse=True)


def test_channels_last_is_not_copied() -> None:
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    assert granularity_of("per_tensor").rows(x).data_ptr() == x.data_ptr()
