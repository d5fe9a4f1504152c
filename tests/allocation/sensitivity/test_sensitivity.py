import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dyadic.allocation.sensitivity.sample import Sample
from dyadic.allocation.sensitivity.sensitivity import (
    HessianTrace,
    LossIncrease,
    Sensitivity,
    Sqnr,
    TopEigenvalue,
)
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.uniform import Uniform

ALL = [HessianTrace(), TopEigenvalue(), Sqnr(), LossIncrease()]


class Grid(Quantizer):
    """A symmetric uniform quantizer over the tensor's own range."""

    def observe(self, x: Tensor) -> None:
        self.range = x.abs().max()

    def codebook(self, x: Tensor | None = None) -> Codebook:
        top = 2 ** (self.bits - 1) - 1
        largest = self.range if x is None else x.abs().max()
        return Codebook(largest / top, torch.arange(-top, top + 1), self.bits)


def sample(cache: Path | None = None, activation: bool = True, **more) -> Sample:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 16, 3)
    )
    layers = {"0": model[0], "3": model[3]}
    images, labels = torch.randn(8, 1, 6, 6), torch.arange(8) % 3
    factory = Grid if activation else None
    return Sample(model, layers, images, labels, Grid, factory, cache, **more)


@pytest.mark.parametrize("sensitivity", ALL)
def test_float_does_no_harm_and_no_width_less_than_none(sensitivity: Sensitivity) -> None:
    omega = sensitivity(sample())
    assert omega("0", 32, 32) == omega("3", 32, 32) == 0
    assert all(omega(layer, bits, bits) >= 0 for layer in ("0", "3") for bits in (2, 4, 8))


@pytest.mark.parametrize("sensitivity", ALL[:-1])
def test_fewer_bits_do_more_harm(sensitivity: Sensitivity) -> None:
    omega = sensitivity(sample())
    for layer in ("0", "3"):
        harm = [omega(layer, bits, 32) for bits in (2, 4, 8, 32)]
        assert harm == sorted(harm, reverse=True)
        assert harm[0] > harm[1] > harm[2] > 0


@pytest.mark.parametrize("sensitivity", [Sqnr(), LossIncrease()])
def test_activations_count_where_their_quantizer_is_known(sensitivity: Sensitivity) -> None:
    omega, blind = sensitivity(sample()), sensitivity(sample(activation=False))
    assert omega("3", 32, 2) > omega("3", 32, 8) >= 0
    assert omega("3", 32, 2) > 0
    assert blind("3", 4, 2) == blind("3", 4, 8)


def test_hawq_omega_is_mean_trace_times_squared_error() -> None:
    seen = sample()
    traces = HessianTrace().measure(seen)
    weight = seen.layers["3"].weight.detach()
    error = float((Grid(bits=4)(weight) - weight).double().square().sum())
    assert HessianTrace()(seen)("3", 4, 4) == pytest.approx(traces["3"] * error, rel=1e-12)


def test_sqnr_adds_the_noise_of_both_factors() -> None:
    seen = sample()
    x = functional.relu(seen.model[0](seen.images)).flatten(1).detach()
    noise = [
        float((Grid(bits=4)(t) - t).double().square().sum() / t.double().square().sum())
        for t in (seen.layers["3"].weight.detach(), x)
    ]
    assert Sqnr()(seen)("3", 4, 4) == pytest.approx(sum(noise), rel=1e-6)


def test_loss_increase_is_that_of_the_layer_alone() -> None:
    seen = sample()
    with torch.no_grad():
        base = functional.cross_entropy(seen.model(seen.images), seen.labels)
        kept = seen.model[0].weight.clone()
        seen.model[0].weight.copy_(Grid(bits=2)(kept))
        quantized = functional.cross_entropy(seen.model(seen.images), seen.labels)
        seen.model[0].weight.copy_(kept)
    expected = max(0.0, float(quantized - base))
    assert LossIncrease()(seen)("0", 2, 32) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sensitivity", ALL)
def test_nothing_is_measured_before_it_is_asked_for(sensitivity: Sensitivity) -> None:
    class Untouchable(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("measured too early")

    sensitivity(Sample(Untouchable(), {}, torch.zeros(1), torch.zeros(1), Grid))


@pytest.mark.parametrize("sensitivity", ALL)
def test_measuring_changes_nothing(sensitivity: Sensitivity) -> None:
    seen = sample()
    before = {name: value.clone() for name, value in seen.model.state_dict().items()}
    sensitivity(seen)("0", 3, 3)
    assert all(torch.equal(before[n], v) for n, v in seen.model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in seen.model.modules())
    assert seen.model.training


def test_the_curvature_is_cached_by_what_determines_it(tmp_path: Path) -> None:
    first = HessianTrace()(sample(tmp_path))("0", 4, 4)
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({"0": 0.0, "3": 0.0}))
    assert first > HessianTrace()(sample(tmp_path))("0", 4, 4) == 0.0
    # Other weights, other images, another rule: measured again.
    changed = sample(tmp_path)
    with torch.no_grad():
        changed.layers["0"].weight.add_(0.1)
    other = sample(tmp_path)
    other.images.add_(0.1)
    for sensitivity, seen in (
        (HessianTrace(), changed),
        (HessianTrace(), other),
        (HessianTrace(seed=1), sample(tmp_path)),
        (TopEigenvalue(), sample(tmp_path)),
    ):
        assert sensitivity(seen)("0", 4, 4) > 0
    assert len(list(tmp_path.iterdir())) == 5


def test_a_damaged_cache_is_measured_again_with_a_line(tmp_path: Path) -> None:
    first = TopEigenvalue()(sample(tmp_path))("0", 4, 4)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace("1", "2"))
    told: list[str] = []
    assert TopEigenvalue()(sample(tmp_path, progress=told.append))("0", 4, 4) == first
    assert len(told) == 1
    assert told[0].endswith("the curvature is measured again")
    assert TopEigenvalue()(sample(tmp_path, progress=told.append))("0", 4, 4) == first
    assert len(told) == 1


@pytest.mark.parametrize(
    ("x", "signed"), [([0.0, 1.0, 2.0, 3.0], False), ([0.0, 0.25, 0.5, 0.75], False),
                      ([-1.0, 0.0, 1.0], True)],
)  # fmt: skip
def test_an_input_is_signed_where_it_is_and_its_range_its_own(x: list[float], signed: bool) -> None:
    """Two bits hold these values exactly with the right sign, and with no other."""
    made: list[bool] = []

    def factory(bits: int, signed: bool) -> Uniform:
        made.append(signed)
        return Uniform(bits, signed=signed)

    seen = replace(sample(), activation=factory)
    values = torch.tensor(x)
    assert torch.allclose(seen.quantized_input(values, 2), values, atol=1e-6)
    assert made == [signed]


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_noise_over_signal_is_of_no_scale(scale: float) -> None:
    seen = sample()
    noise = Sqnr()(seen)("0", 4, 4)
    seen.images.mul_(scale)
    with torch.no_grad():
        seen.model[0].weight.mul_(scale)
    assert Sqnr()(seen)("0", 4, 4) == pytest.approx(noise, rel=1e-4)


def test_nothing_has_no_noise() -> None:
    seen = sample(activation=False)
    with torch.no_grad():
        seen.model[0].weight.zero_()
    assert Sqnr()(replace(seen, weight=lambda bits: nn.Identity()))("0", 4, 4) == 0.0


def test_progress_is_text() -> None:
    told: list[str] = []
    HessianTrace()(sample(progress=told.append))("0", 4, 4)
    assert told
    assert told[0].startswith("Hessian traces: 4 probes, largest standard error")
