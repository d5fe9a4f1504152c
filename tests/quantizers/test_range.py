"""Quantizers take tensors as large and as small as float32 holds."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.quantizers.cases import fresh, label, quantizers

from dyadic.quantizers import HalfWave, Quantizer, Stochastic

LARGEST = torch.finfo(torch.float32).max
X = torch.linspace(-1, 1, 101)[torch.randperm(101, generator=torch.Generator().manual_seed(0))]


def follows(quantizer: Quantizer) -> bool:
    """Whether values twice as large become values twice as large."""
    random = isinstance(getattr(quantizer, "rounding", None), Stochastic)
    return not random and not (isinstance(quantizer, HalfWave) and quantizer.unit_sigma)


@pytest.mark.parametrize("quantizer", [q for q in quantizers((1, 2, 4)) if follows(q)], ids=label)
@pytest.mark.parametrize("exponent", [-126, -100, 64, 120])
def test_the_scale_of_a_tensor_changes_nothing_but_the_scale(quantizer, exponent):
    x = X if quantizer.signed else X.abs()
    expected = fresh(quantizer)(x.view(1, -1)).double() * 2.0**exponent
    found = fresh(quantizer)((x * 2.0**exponent).view(1, -1)).double()
    assert torch.allclose(found, expected, rtol=1e-5, atol=2.0**-125 if exponent < -100 else 0)


@given(
    case=st.sampled_from([q for q in quantizers((1, 2, 4, 8)) if follows(q)]),
    seed=st.integers(0, 2**32 - 1),
    exponent=st.floats(-149, 128),
)
def test_any_finite_tensor_becomes_finite_values_of_its_size(case, seed, exponent):
    x = torch.rand(1, 40, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5
    x = (x / x.abs().max() * 2.0**exponent).clamp(-LARGEST, LARGEST).float()
    found = fresh(case)(x if case.signed else x.abs()).double()
    assert found.isfinite().all()
    assert found.abs().max() <= 3 * x.double().abs().max() + 2.0**-125
