"""Hutchinson's estimator against an exact Hessian and known quadratics."""

import pytest
import torch
from tests.allocation.sensitivity.small import data, exact_hessian, layers_of, network
from torch import Tensor, nn

from dyadic.allocation.sensitivity.double_backward import DoubleBackward
from dyadic.allocation.sensitivity.hessian import (
    hessian_traces,
)


def test_double_backward_agrees_with_the_exact_trace_within_its_error() -> None:
    """GELU is not piecewise linear: the Gauss-Newton part alone would be wrong."""
    model, (images, labels) = network(nn.GELU()).eval(), data()
    traces = hessian_traces(model, layers_of(model), images, labels, most=400, batch=4)
    assert not traces.exact
    exact = torch.stack(
        [exact_hessian(model, name, images, labels).trace() for name in traces.layers]
    )
    assert ((traces.trace - exact).abs() <= 4 * traces.standard_error).all()


class Weights(nn.Module):
    """A "network" whose output is its own weights, for a quadratic loss."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(3, dtype=torch.float64))
        self.b = nn.Parameter(torch.randn(2, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.a, self.b])


def quadratic(matrix: Tensor) -> DoubleBackward:
    model = Weights()
    batches = [(torch.zeros(1), torch.zeros(1))]
    return DoubleBackward(model, [model.a, model.b], batches, 0, lambda w, _: w @ matrix @ w / 2)


def test_a_diagonal_quadratic_needs_one_probe() -> None:
    values = quadratic(torch.diag(torch.arange(1.0, 6.0, dtype=torch.float64)))([0])
    assert values[0, :, 0].tolist() == [6.0, 9.0]


def test_a_dense_quadratic_has_hutchinsons_mean_and_variance() -> None:
    """Var v_l^T (H v)_l = 2 sum_{i != j in l} H_ij^2 + sum_{i in l, j not} H_ij^2."""
    matrix = torch.randn(5, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    matrix = matrix + matrix.T
    values = quadratic(matrix)(range(2000))[:, :, 0]
    for layer, part in enumerate((slice(0, 3), slice(3, 5))):
        block = matrix[part, part]
        inside = 2 * (block.square().sum() - block.diag().square().sum())
        across = matrix[part].square().sum() - block.square().sum()
        error = float((inside + across).sqrt()) / 2000**0.5
        assert float(values[:, layer].mean()) == pytest.approx(float(block.trace()), abs=4 * error)
        assert float(values[:, layer].var()) == pytest.approx(float(inside + across), rel=0.2)
