"""Traces and eigenvalues against exact Hessians of small networks, and a known quadratic."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from dyadic.allocation.sensitivity.double_backward import DoubleBackward
from dyadic.allocation.sensitivity.eigenvalue import top_eigenvalue
from dyadic.allocation.sensitivity.gauss_newton import GaussNewton
from dyadic.allocation.sensitivity.hessian import (
    RelativeError,
    Traces,
    hessian_traces,
    summarize,
)
from dyadic.allocation.sensitivity.per_sample import squared_norms
from dyadic.models import resnet8, small_inception

CLASSES = 3


class Residual(nn.Module):
    """A convolution beside a downsample convolution, as in a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2, bias=False)
        self.side = nn.Conv2d(4, 4, 1, stride=2)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.main(x)) + self.side(x))


def network(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        activation,
        nn.MaxPool2d(2),
        Residual(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    ).double()
    model[3].norm.running_mean.normal_()
    model[3].norm.running_var.uniform_(0.5, 2.0)
    return model


def layers_of(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def data(samples: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(samples, 2, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(samples) % CLASSES


def exact_hessian(model: nn.Module, name: str, images: Tensor, labels: Tensor) -> Tensor:
    weight = model.get_parameter(f"{name}.weight").detach()

    def loss(flat: Tensor) -> Tensor:
        replaced = {f"{name}.weight": flat.reshape(weight.shape)}
        return functional.cross_entropy(functional_call(model, replaced, (images,)), labels)

    return torch.autograd.functional.hessian(loss, weight.flatten())


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


def test_double_backward_agrees_with_the_exact_trace_within_its_error() -> None:
    """GELU is not piecewise linear: the Gauss-Newton part alone would be wrong."""
    model, (images, labels) = network(nn.GELU()).eval(), data()
    traces = hessian_traces(model, layers_of(model), images, labels, most=400, batch=4)
    assert not traces.exact
    exact = torch.stack(
        [exact_hessian(model, name, images, labels).trace() for name in traces.layers]
    )
    assert ((traces.trace - exact).abs() <= 4 * traces.standard_error).all()


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Sigmoid(), nn.Hardswish()])
def test_a_network_that_is_not_piecewise_linear_is_recognized(activation: nn.Module) -> None:
    model = network(activation)
    assert not GaussNewton(model, list(layers_of(model).values()), [data()[0]], 0).applies()


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


def test_the_same_seed_gives_the_same_traces_and_another_one_others() -> None:
    model, (images, labels) = network(nn.GELU()), data()
    one, same, other = (
        hessian_traces(model, layers_of(model), images, labels, most=16, seed=seed)
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.trace, same.trace)
    assert not torch.equal(one.trace, other.trace)


def test_measuring_leaves_the_model_as_it_was() -> None:
    for activation in (nn.ReLU(), nn.GELU()):
        model, (images, labels) = network(activation).train(), data()
        model[0].requires_grad_(False)
        model[3].norm.eval()
        mean = model[3].norm.running_mean.clone()
        hessian_traces(model, layers_of(model), images, labels, most=16)
        assert model.training
        assert not model[3].norm.training
        assert torch.equal(model[3].norm.running_mean, mean)
        wanted = [name for name, p in model.named_parameters() if p.requires_grad]
        assert wanted == [n for n, _ in model.named_parameters() if not n.startswith("0.")]
        assert all(parameter.grad is None for parameter in model.parameters())
        assert not any(module._forward_hooks for module in model.modules())


def traces(trace: list[float], error: list[float]) -> Traces:
    rows = [torch.tensor(row, dtype=torch.float64) for row in (trace, error)]
    return Traces(("a", "b"), torch.ones(2), *rows, probes=20, freedom=19.0, exact=False)


def test_the_error_is_compared_with_the_absolute_trace() -> None:
    negative = traces([-1.0, 2.0], [0.04, 0.04])
    assert RelativeError(0.05)(negative)
    assert not RelativeError(0.03)(negative)


def test_progress_is_told_after_every_round_and_most_ends_it() -> None:
    model, (images, labels) = network(nn.GELU()), data()
    told: list[int] = []
    result = hessian_traces(
        model,
        layers_of(model),
        images,
        labels,
        stop=RelativeError(0.0),
        most=40,
        progress=lambda traces: told.append(traces.probes),
    )
    assert told == [16, 32, 40]
    assert result.probes == 40


def test_top_eigenvalue_is_the_exact_one() -> None:
    model, (images, labels) = network(nn.GELU()).eval(), data()
    for name, layer in layers_of(model).items():
        eigenvalues = torch.linalg.eigvalsh(exact_hessian(model, name, images, labels))
        largest = max(eigenvalues.tolist(), key=abs)
        ours = top_eigenvalue(model, layer.weight, images, labels, tolerance=1e-9, most=2000)
        assert ours == pytest.approx(largest, rel=1e-4), name


def test_two_probes_have_an_error_and_one_has_none() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64)[:, None]
    two, one = (summarize(("fc",), torch.ones(1), values[:n], torch.inf) for n in (2, 1))
    assert two.trace.tolist() == [3.0]
    assert two.standard_error.tolist() == pytest.approx([((2 + 8) / 2) ** 0.5 / 2])
    assert two.freedom == pytest.approx((2 + 8) ** 2 / (2**2 + 8**2))
    assert one.standard_error.tolist() == [torch.inf]
