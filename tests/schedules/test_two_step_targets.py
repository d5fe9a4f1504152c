import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyadic.network.activations import activation_quantizations
from dyadic.quantizers.half_wave import SparseHalfWave
from dyadic.quantizers.ternary import Ternary
from dyadic.schedules.two_step import Target

PER_FILTER = functools.partial(Ternary, granularity="per_channel")


def test_targets_follow_the_output_to_the_activation_that_alone_reads_it(build, chain):
    network = build(PER_FILTER, SparseHalfWave, bits=2, model=chain)
    targets = [Target.of(network.body, layer) for layer in network.layers]
    assert [t.relu for t in targets] == [True, True, True, False]
    assert [t.norm is not None for t in targets] == [True, True, False, False]
    quantized = list(activation_quantizations(network).values())[1:]
    assert [t.quantization for t in targets] == [*quantized, None]


def test_targets_stop_at_a_split_or_an_addition(build):
    network = build(PER_FILTER, SparseHalfWave, bits=2)
    first, second, last = (Target.of(network.body, layer) for layer in network.layers)
    assert (first.norm, first.relu, first.quantization) == (network.body.bn1, True, None)
    assert (second.norm, second.relu, second.quantization) == (network.body.bn2, False, None)
    assert (last.norm, last.relu, last.quantization) == (None, False, None)


class PreActivation(nn.Module):
    """conv - bn, read by a ReLU and by what goes around it: no activation alone reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.inner = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn(self.conv(x))
        return torch.flatten(self.inner(self.relu(x)) + x, 1)


def test_an_output_that_goes_around_its_activation_has_no_codes(build):
    network = build(PER_FILTER, SparseHalfWave, bits=2, model=PreActivation())
    first = Target.of(network.body, network.layers[0])
    assert (first.norm, first.relu, first.quantization) == (network.body.bn, False, None)


def test_a_quantized_target_saturates_where_its_codes_do(build, images, chain):
    network = build(PER_FILTER, SparseHalfWave, bits=2, model=chain)
    network.calibrate([images])
    target = Target.of(network.body, network.layers[0])
    y, low, high = target.codes(torch.linspace(-9, 9, 50))
    assert (low, high) == (0.0, pytest.approx(y.max().item()))
    assert len(y.unique()) == 4
    assert Target.of(network.body, network.layers[3]).codes(y)[1:] == (-torch.inf, torch.inf)


def test_the_affine_part_is_what_stands_between_product_and_activation(build, images):
    network = build(None, model=nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))).eval()
    conv, norm = network.body.get_submodule("0"), network.body.get_submodule("1")
    gain, shift = Target.of(network.body, network.layers[0]).affine(conv)
    product = F.conv2d(images, conv.weight).double()
    expected = norm(conv(images)).double()
    computed = gain.view(-1, 1, 1) * product + shift.view(-1, 1, 1)
    assert torch.allclose(computed, expected, atol=1e-5)


def test_a_relu_without_a_quantizer_saturates_below_alone(build):
    network = build(PER_FILTER, bits=2, model=nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU()))
    y, low, high = Target.of(network.body, network.layers[0]).codes(torch.tensor([-2.0, 3.0]))
    assert (y.tolist(), low, high) == ([0.0, 3.0], 0.0, torch.inf)
