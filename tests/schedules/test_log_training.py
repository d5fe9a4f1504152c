import functools

import pytest
import torch
from tests.runs import configuration
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from dyadic.commands.build import run
from dyadic.network.weights import latent_weight
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.log_training import LogTraining

LOG = functools.partial(Logarithmic, base=2)


def test_both_products_of_the_backward_pass_read_the_quantized_error(build, images):
    """dW of a convolution is the correlation of its input with the log-quantized error signal."""
    network = build(LOG, None, bits=5)
    LogTraining(1, LOG, bits=5).begin(network)
    conv, seen = network.body.conv2, {}

    def keep_error(module: nn.Module, gradients: tuple[Tensor, ...]) -> None:
        seen["error"] = gradients[0]

    conv.register_full_backward_pre_hook(keep_error)
    conv.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0].detach()))
    network(images).sub(0.3).pow(3).sum().backward()
    quantized = Logarithmic(bits=5)(seen["error"])
    assert not torch.equal(quantized, seen["error"])
    expected = conv2d_weight(seen["x"], conv.weight.shape, quantized, padding=1)
    assert torch.allclose(latent_weight(conv).grad, expected, rtol=1e-4, atol=1e-6)


def test_gradients_have_the_paper_s_five_bits(build):
    network = build(LOG, None, bits=5)
    LogTraining(1, LOG).begin(network)
    found = [layer.module.gradient.quantizer.bits for layer in network.layers]
    assert found == [5] * len(network.layers)


def test_without_a_factory_gradients_stay_float(build, drive):
    a, b = build(LOG, Uniform, bits=5), build(LOG, Uniform, bits=5)
    b.load_state_dict(a.state_dict())
    drive(a, LogTraining(1, None))
    drive(b, LogTraining(1, LOG))
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    assert any(not torch.equal(p, q) for p, q in pairs)


@pytest.mark.parametrize("gradient", [None, LOG])
def test_training_leaves_no_trace_in_the_network(build, drive, gradient):
    network = build(LOG, Logarithmic, bits=5)
    before = {k for k in network.state_dict() if "top" not in k}
    drive(network, LogTraining(1, gradient))
    assert {k for k in network.state_dict() if "top" not in k} == before
    assert all(not layer.module._forward_hooks for layer in network.layers)


def test_five_bits_everywhere_train_a_network_from_chance(tmp_path):
    """From a float network that knows nothing (10 classes) to most images in 64 steps."""
    choices = ("method=log_training", "deploy=none", "dataset.source.train_images=1024")
    rates = ("trainer.baseline.optimizer.lr=0.001", "trainer.optimizer.lr=0.1")
    summary = run(configuration(tmp_path, *choices, *rates))
    assert summary["bits"] == 5
    assert summary["float_top1"] < 25
    assert summary["top1"] > 60
