"""When the estimate of traces stops, what it says of its error, and what it leaves behind."""

import pytest
import torch
from tests.allocation.sensitivity.small import data, layers_of, network
from torch import nn

from dyadic.allocation.sensitivity.hessian import (
    RelativeError,
    Traces,
    hessian_traces,
    summarize,
)


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


def traces(trace: list[float], error: list[float], freedom: float = 19.0) -> Traces:
    rows = [torch.tensor(row, dtype=torch.float64) for row in (trace, error)]
    return Traces(("a", "b"), torch.ones(2), *rows, probes=20, freedom=freedom, exact=False)


def test_the_error_is_compared_with_the_absolute_trace() -> None:
    negative = traces([-1.0, 2.0], [0.04, 0.04])
    assert RelativeError(0.05)(negative)
    assert not RelativeError(0.03)(negative)


@pytest.mark.parametrize(
    ("error", "freedom", "enough"),
    [(0.25, 10.0, True), (0.2501, 10.0, False), (0.0, 9.999, False)],
)
def test_probes_are_enough_up_to_the_tolerance_and_from_ten_degrees_of_freedom(
    error: float, freedom: float, enough: bool
) -> None:
    assert RelativeError(0.25)(traces([1.0, 1.0], [0.0, error], freedom)) == enough


def test_five_percent_are_enough_where_nothing_else_is_said() -> None:
    assert [RelativeError()(traces([1.0, 1.0], [0.0, e])) for e in (0.05, 0.051)] == [True, False]


@pytest.mark.parametrize(
    ("activation", "rounds"), [(nn.GELU(), [16, 32, 40]), (nn.ReLU(), [4, 8, 12, 16])]
)
def test_progress_is_told_after_every_round_and_most_ends_it(
    activation: nn.Module, rounds: list[int]
) -> None:
    model, (images, labels) = network(activation), data()
    model[-1] = nn.Linear(4, 16).double()
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
    assert told == rounds
    assert result.probes == rounds[-1]


def test_two_probes_have_an_error_and_one_has_none() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64)[:, None]
    two, one = (summarize(("fc",), torch.ones(1), values[:n], torch.inf) for n in (2, 1))
    assert two.trace.tolist() == [3.0]
    assert two.standard_error.tolist() == pytest.approx([((2 + 8) / 2) ** 0.5 / 2])
    assert two.freedom == pytest.approx((2 + 8) ** 2 / (2**2 + 8**2))
    assert one.standard_error.tolist() == [torch.inf]
