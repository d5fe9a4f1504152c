"""The top eigenvalue against an exact Hessian, and when its iteration stops."""

import pytest
import torch
from tests.allocation.sensitivity.small import data, exact_hessian, layers_of, network
from torch import nn

from dyadic.allocation.sensitivity import eigenvalue
from dyadic.allocation.sensitivity.eigenvalue import hessian_vector_product, top_eigenvalue


@pytest.mark.parametrize(("stop", "error"), [({"tolerance": 1e-9, "most": 2000}, 1e-4), ({}, 0.05)])
def test_top_eigenvalue_is_the_exact_one(stop: dict, error: float) -> None:
    model, (images, labels) = network(nn.GELU()).eval(), data()
    for name, layer in layers_of(model).items():
        eigenvalues = torch.linalg.eigvalsh(exact_hessian(model, name, images, labels))
        largest = max(eigenvalues.tolist(), key=abs)
        ours = top_eigenvalue(model, layer.weight, images, labels, **stop)
        assert ours == pytest.approx(largest, rel=error), name


@pytest.mark.parametrize(
    ("dead", "stop", "products"),
    [
        (False, {"tolerance": 0.0, "most": 7}, [7]),
        (False, {}, range(2, 100)),
        (True, {}, [2]),  # the first has nothing to be compared with
    ],
)
def test_it_stops_where_nothing_changes_or_at_the_most(
    monkeypatch: pytest.MonkeyPatch, dead: bool, stop: dict, products
) -> None:
    seen = []

    def counted(*arguments):
        seen.append(arguments)
        return hessian_vector_product(*arguments)

    monkeypatch.setattr(eigenvalue, "hessian_vector_product", counted)
    model, (images, labels) = network(nn.GELU()).eval(), data()
    found = top_eigenvalue(model, model[0].weight, images * (not dead), labels, **stop)
    assert len(seen) in products
    assert (found == 0) == dead
