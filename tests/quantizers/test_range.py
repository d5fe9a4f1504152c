"""Quantizers take tensors as large and as small as float32 holds."""

import pytest
import torch
from tests.quantizers.cases import fresh, label, quantizers

from dyadic.quantizers import HalfWave, Quantizer, Stochastic

X = torch.linspace(-1, 1, 101)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]


def follows(quantizer: Quantizer) -> bool:
    """Whether values twice as large become values twice as large."""
    random = isinstance(getattr(quantizer, "rounding", None), Stochastic)
    return not random and not (isinstance(quantizer, HalfWave) and quantizer.unit_sigma)


@pytest.mark.parametrize("quantizer", [q for q in quantizers((1, 2, 4)) if follows(q)], ids=label)
@pytest.mark.parametrize("exponent", [-100, 64, 120])
def test_the_scale_of_a_tensor_changes_nothing_but_the_scale(quantizer, exponent):
    x = X if quantizer.signed else X.abs()
    expected = fresh(quantizer)(x.view(1, -1)).double() * 2.0**exponent
    found = fresh(quantizer)((x * 2.0**exponent).view(1, -1)).double()
    assert torch.allclose(found, expected, rtol=1e-5, atol=0)
