"""The top eigenvalue against an exact Hessian."""

import pytest
import torch
from tests.allocation.sensitivity.small import data, exact_hessian, layers_of, network
from torch import nn

from dyadic.allocation.sensitivity.eigenvalue import top_eigenvalue


def test_top_eigenvalue_is_the_exact_one() -> None:
    model, (images, labels) = network(nn.GELU()).eval(), data()
    for name, layer in layers_of(model).items():
        eigenvalues = torch.linalg.eigvalsh(exact_hessian(model, name, images, labels))
        largest = max(eigenvalues.tolist(), key=abs)
        ours = top_eigenvalue(model, layer.weight, images, labels, tolerance=1e-9, most=2000)
        assert ours == pytest.approx(largest, rel=1e-4), name
