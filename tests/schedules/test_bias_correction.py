"""Bias correction: every layer's mean output is the float network's, on the calibration images."""

import functools

import pytest
import torch
from tests.runs import configuration
from torch import nn

from dyadic.commands.build import run
from dyadic.network.weights import latent_weight
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.bias_correction import channel_means, float_copy
from dyadic.schedules.post_training import PostTraining

GROUPED = nn.Sequential(
    nn.Conv2d(2, 4, 3, groups=2, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
    nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3),
)  # fmt: skip


@torch.no_grad()
def means(body, images) -> dict[str, torch.Tensor]:
    """Mean output of every layer by name."""
    found, hooks = {}, []
    for name, module in body.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            keep = functools.partial(_keep, found, name)
            hooks.append(module.register_forward_hook(keep))
    body(images)
    for hook in hooks:
        hook.remove()
    return found


def _keep(found, name, module, inputs, output) -> None:
    found[name] = channel_means(output)


def errors(network, reference, images) -> list[float]:
    """The largest error of a channel's mean output, layer by layer."""
    ours, theirs = means(network.body, images), means(reference, images)
    return [float((ours[name] - theirs[name]).abs().max()) for name in theirs]


@pytest.mark.parametrize("weight", [Uniform, PowerOfTwo, Logarithmic, None])
@pytest.mark.parametrize("activation", [Uniform, None])
@pytest.mark.parametrize("model", ["residual", "chain", "grouped"])
def test_mean_outputs_are_the_float_ones(build, images, chain, weight, activation, model):
    network = build(weight, activation, 3, {"chain": chain, "grouped": GROUPED}.get(model)).eval()
    reference = float_copy(network)
    plain = network.clone().eval()
    PostTraining().finish(plain, images)
    PostTraining(bias_correction=True).finish(network, images)
    assert max(errors(network, reference, images)) < 1e-5
    if weight is not None or activation is not None:
        assert max(errors(plain, reference, images)) > 1e-3


def test_only_biases_move(build, images):
    network = build(Uniform, Uniform, 3)
    before = {layer.name: latent_weight(layer.module).clone() for layer in network.layers}
    PostTraining(bias_correction=True).finish(network, images)
    for layer in network.layers:
        assert torch.equal(latent_weight(layer.module), before[layer.name])
        assert layer.module.bias is not None
    assert not network.body.get_submodule("bn1").num_batches_tracked


def test_a_corrected_network_is_deployed_and_equal_on_integers(tmp_path):
    choices = ("method=uniform_ptq", "schedule=bias_corrected", "bits=3")
    summary = run(configuration(tmp_path, *choices))
    integer = summary["integer"]
    assert integer["mismatched_logits"] == integer["mismatched_vs_float64"] == 0
