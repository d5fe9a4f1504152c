"""Traces from first derivatives: exact for piecewise linear networks, which are recognized."""

import pytest
import torch
from tests.allocation.sensitivity.small import CLASSES, data, exact_hessian, layers_of, network
from torch import Tensor, nn
from torch.nn import functional

from dyadic.allocation.sensitivity.gauss_newton import GaussNewton
from dyadic.allocation.sensitivity.hessian import (
    RelativeError,
    hessian_traces,
    summarize,
)
from dyadic.models import resnet8, small_inception


@pytest.mark.parametrize("activation", [nn.ReLU(inplace=True), nn.LeakyReLU(), nn.ReLU6()])
def test_gauss_newton_is_the_exact_trace_of_a_piecewise_linear_network(activation) -> None:
    model, (images, labels) = network(activation).eval(), data()
    layers = layers_of(model)
    traces = hessian_traces(model, layers, images, labels, stop=RelativeError(0.0), batch=4)
    assert traces.exact
    assert traces.probes == 4  # the next power of two above three classes
    assert traces.relative_error == 0
    for name, trace in zip(traces.layers, traces.trace.tolist(), strict=True):
        exact = float(exact_hessian(model, name, images, labels).trace())
        assert trace == pytest.approx(exact, rel=1e-9), name
        assert traces.mean[name] == pytest.approx(exact / layers[name].weight.numel(), rel=1e-9)


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Sigmoid(), nn.Hardswish()])
def test_a_network_that_is_not_piecewise_linear_is_recognized(activation: nn.Module) -> None:
    model = network(activation)
    assert not GaussNewton(model, list(layers_of(model).values()), [data()[0]], 0).applies()


@pytest.mark.parametrize("how", [{"padding": 1, "padding_mode": "circular"}, {"padding": "same"}])
def test_a_padding_that_cannot_be_unfolded_is_recognized(how: dict) -> None:
    layer, last = nn.Conv2d(2, 4, 3, **how), nn.Linear(256, CLASSES)
    model = nn.Sequential(layer, nn.Flatten(), last).double()
    assert not GaussNewton(model, [layer, last], [data()[0]], 0).applies()
    plain = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Flatten(), last).double()
    assert GaussNewton(plain, [plain[0], last], [data()[0]], 0).applies()


@pytest.mark.parametrize("model", [resnet8(CLASSES, 1, 4), small_inception(CLASSES, 1, 2)])
def test_no_memory_layout_hides_that_a_network_is_piecewise_linear(model: nn.Module) -> None:
    """Concatenated in channels-last, an Inception has views in its graph that others have not."""
    images, labels = torch.randn(4, 1, 12, 12), torch.arange(4) % CLASSES
    found = [
        hessian_traces(model.to(memory_format=layout), layers_of(model), images, labels)
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    assert all(traces.exact for traces in found)
    torch.testing.assert_close(found[1].trace, found[0].trace, rtol=1e-4, atol=1e-7)


def test_a_layer_that_is_called_twice_is_recognized() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(functional.relu(self.layer(x)))

    model = Twice()
    assert not GaussNewton(model, [model.layer], [torch.randn(2, 3)], 0).applies()


def test_an_input_changed_in_place_is_refused_and_not_used() -> None:
    class Careless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, CLASSES)

        def forward(self, x: Tensor) -> Tensor:
            hidden = functional.relu(self.first(x))
            logits = self.second(hidden)
            hidden.detach().add_(1.0)
            return logits

    model = Careless()
    with pytest.raises(RuntimeError, match="in place"):
        GaussNewton(model, [model.first, model.second], [torch.randn(2, 3)], 0)([0])


def test_standard_error_is_what_repetition_shows() -> None:
    """Two of eight Hadamard probes over many seeds: the stated error is the observed spread."""
    model = network(nn.ReLU()).eval()
    model[-1] = nn.Linear(4, 8).double()
    images, layers = data(12)[0], layers_of(model)
    runs = [
        GaussNewton(model, list(layers.values()), [images], 100 * seed)(range(3))
        for seed in range(200)
    ]
    numel = torch.ones(len(layers))
    stated = torch.stack(
        [summarize(tuple(layers), numel, run, 8).standard_error ** 2 for run in runs]
    ).mean(dim=0)
    observed = torch.stack([run.mean(dim=(0, 2)) for run in runs]).var(dim=0)
    assert torch.allclose(stated, observed, rtol=0.35)
