"""The rule `through_relu`: the forward pass of any other, and derivative 1 for negative inputs."""

import copy
import functools

import pytest
import torch
from torch import Tensor, nn

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.lower import lower
from dyadic.models import resnet8, small_inception
from dyadic.models.normalize import normalized
from dyadic.network.activations import StraightThroughReLU
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.straight_through import StraightThrough, identity, through_relu
from dyadic.quantizers.uniform import Uniform


class Statistics:
    mean, std = (0.5,), (0.25,)


def quantized(model: nn.Module, rule: StraightThrough, shape: tuple[int, int, int]):
    network = QuantizedNetwork(trace(model, torch.zeros(1, *shape)), shape)
    bits = {layer.name: (3, 3) for layer in network.layers}
    return network.quantize(bits, Uniform, functools.partial(Uniform, ste=rule))


def pair(model: nn.Module, shape: tuple[int, int, int], images: Tensor) -> list[QuantizedNetwork]:
    """The same network, quantized with `identity` and, as from a configuration, `through_relu`."""
    networks = []
    for rule in (identity, functools.partial(through_relu)):
        network = quantized(copy.deepcopy(model), rule, shape).eval()
        network.calibrate([images])
        networks.append(network)
    return networks


class Pooled(nn.Module):
    """conv - relu - max pool - conv, with one ReLU module that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 3, 1)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.first(x)))
        return self.relu(self.second(x)).flatten(1)


MODELS = {
    "ResNet": functools.partial(resnet8, classes=3, channels=1, width=4),
    "Inception": functools.partial(small_inception, classes=3, channels=1, width=4),
    "one ReLU, called twice": Pooled,
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS.keys())
def test_the_forward_pass_is_bit_identical(make):
    images = torch.randint(0, 256, (4, 1, 8, 8)).float() / 64
    plain, passing = pair(make(), (1, 8, 8), images)
    assert torch.equal(plain(images), passing(images))


def relus(network: QuantizedNetwork) -> list[bool]:
    """For every ReLU that is called, in order: whether it passes negatives."""
    modules = [
        network.body.get_submodule(str(node.target))
        for node in network.body.graph.nodes
        if node.op == "call_module"
    ]
    return [isinstance(m, StraightThroughReLU) for m in modules if isinstance(m, nn.ReLU)]


def test_only_relus_in_front_of_a_quantizer_change():
    images = torch.rand(2, 1, 8, 8)
    plain, passing = pair(Pooled(), (1, 8, 8), images)
    assert relus(plain) == [False, False]
    assert relus(passing) == [True, False]


def test_negative_inputs_have_a_gradient_and_positive_ones_the_same():
    images, seen = torch.rand(2, 1, 8, 8) - 0.5, []
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 3))
    for network in pair(model, (1, 8, 8), images):
        first = network.layers[0].module
        first.register_forward_hook(lambda module, x, y: seen.append(y) or y.retain_grad())
        network(images).square().sum().backward()
    plain, passing = seen
    negative = plain < 0
    assert 10 < int(negative.sum()) < negative.numel() - 10
    assert (plain.grad[negative] == 0).all()
    assert (passing.grad[negative] != 0).all()
    assert torch.equal(plain.grad[~negative], passing.grad[~negative])


def test_lowering_does_not_see_a_difference():
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    model = normalized(resnet8(3, channels=1, width=4), Statistics())
    programs = []
    for network in pair(model, (1, 8, 8), images):
        deployed, _ = Deployment().prepare(network, [images])
        programs.append(ReferenceEngine(lower(deployed, "net").program))
    plain, passing = (engine.run(images.numpy()) for engine in programs)
    assert (plain == passing).all()
