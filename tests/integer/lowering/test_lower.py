"""A lowered network computes exactly what the network computes with the same dyadic numbers."""

import numpy as np
import pytest
import torch
from torch import fx, nn

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import Float64Network
from dyadic.integer.lowering.lower import lower
from dyadic.models.normalize import NormalizePixels
from dyadic.network.insert import FLOAT
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers import (
    Binary,
    FixedPoint,
    HalfWave,
    Lloyd,
    Logarithmic,
    Lsq,
    Pact,
    PowerOfTwo,
    SparseHalfWave,
    Ternary,
    Uniform,
)

SHAPE = (3, 12, 12)


class Small(nn.Module):
    """Residual blocks, concatenation, every pooling, groups, negative batch norm multipliers."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize = NormalizePixels([0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
        self.stem, self.norm0 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv1, self.norm1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.norm2 = nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.down, self.norm3 = nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16)
        self.group, self.average = nn.Conv2d(16, 16, 3, 1, 1, groups=4), nn.AvgPool2d(3, 1, 1)
        self.head, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(48, 10)

    def forward(self, x):
        x = self.pool(self.norm0(self.stem(self.normalize(x))).relu())
        y = self.norm2(self.conv2(self.norm1(self.conv1(x)).relu()))
        y = (y + self.norm3(self.down(x))).relu()
        y = torch.cat([self.group(y).relu(), y, self.average(y)], 1)
        return self.fc(torch.flatten(self.head(y), 1))


def trained(weight, activation=None, bits=4) -> QuantizedNetwork:
    torch.manual_seed(0)
    model = Small()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
            nn.init.uniform_(module.running_var, 0.5, 2)
    network = QuantizedNetwork(trace(model, images(4)), SHAPE)
    widths = {x.name: (bits, 4 if activation else FLOAT) for x in network.layers}
    network.quantize(widths, weight, activation)
    network.calibrate([images(64)])
    return network.eval()


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, *SHAPE), generator=generator, dtype=torch.uint8)


WEIGHTS = {
    "uniform": lambda bits: Uniform(bits=bits, granularity="per_channel"),
    "asymmetric": lambda bits: Uniform(bits=bits, symmetric=False),
    "power_of_two": lambda bits: PowerOfTwo(bits=bits),
    "log2": lambda bits: Logarithmic(bits=bits, base=2),
    "log_sqrt2": lambda bits: Logarithmic(bits=bits, base="sqrt2"),
    "binary": lambda bits: Binary(),
    "ternary": lambda bits: Ternary(),
    "lloyd": lambda bits: Lloyd(bits),
    "fixed_point": lambda bits: FixedPoint(bits),
    "lsq": lambda bits: Lsq(bits),
}
ACTIVATIONS = {
    "float": None,
    "uniform": Uniform,
    "log2": lambda bits, signed: Logarithmic(bits=bits, signed=signed, base=2),
    "log_sqrt2": lambda bits, signed: Logarithmic(bits=bits, signed=signed, base="sqrt2"),
    "hwgq": lambda bits, signed: HalfWave(bits),
    "hwgq_lloyd": lambda bits, signed: HalfWave(bits, uniform=False),
    "sparse": lambda bits, signed: SparseHalfWave(bits),
    "pact": Pact,
    "asymmetric": lambda bits, signed: Uniform(bits, signed=True, symmetric=False),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_program_equals_the_network_in_float64(weight, activation):
    network = trained(WEIGHTS[weight], ACTIVATIONS[activation])
    deployed, _ = Deployment().prepare(network, [images(64)])
    lowered = lower(deployed, "small")
    trace = ReferenceEngine(lowered.program).trace(images(32).numpy())
    exact = Float64Network(deployed, lowered).trace(images(32))
    assert len(exact) > 10
    for name, codes in exact.items():
        assert np.array_equal(codes.numpy(), trace[name]), name


@pytest.mark.parametrize("base", [2, "sqrt2"])
def test_log_activations_of_five_bits_fit_int32_between_layers(base):
    wide = trained(WEIGHTS["log2"], lambda bits, signed: Logarithmic(5, signed, base=base), bits=5)
    deployed, _ = Deployment().prepare(wide, [images(64)])
    lowered = lower(deployed, "small")
    exact = Float64Network(deployed, lowered).logits(images(32)).numpy()
    for engine in engines(lowered.program).available.values():
        assert np.array_equal(engine.run(images(32).numpy()), exact)


def test_float32_network_differs_by_a_step_at_most_at_eight_bits():
    network = trained(WEIGHTS["uniform"], Uniform, bits=8)
    deployed, _ = Deployment().prepare(network, [images(64)])
    program = lower(deployed, "small").program
    logits = ReferenceEngine(program).run(images(32).numpy()) * program.logit_scale
    assert np.abs(deployed(images(32)).detach().numpy() - logits).max() < 0.05


def share_of_other_codes(weight) -> float:
    """How many 4-bit codes of the float32 network are not those of the program, 0 to 1."""
    network = trained(WEIGHTS[weight], Uniform)
    deployed, _ = Deployment().prepare(network, [images(64)])
    lowered = lower(deployed, "small")
    trace = ReferenceEngine(lowered.program).trace(images(32).numpy())
    other = []

    class Watch(fx.Interpreter):
        def run_node(self, n):
            result = super().run_node(n)
            name = lowered.operations.get(n.name)
            if name is not None and np.abs(trace[name]).max() < 16:
                codes = torch.round(result.double() / lowered.scales[name]).numpy()
                other.append((codes != trace[name]).mean())
            return result

    with torch.no_grad():
        Watch(deployed.body).run(images(32))
    assert len(other) >= 4
    return float(np.mean(other))


@pytest.mark.parametrize("weight", ["binary", "ternary", "uniform", "power_of_two"])
def test_a_bias_is_finer_than_a_unit_of_few_bits(weight, monkeypatch):
    fine = share_of_other_codes(weight)
    monkeypatch.setattr("dyadic.integer.lowering.values.LARGEST_BYTE", 1)
    coarse = share_of_other_codes(weight)
    assert fine < coarse / 2


def test_preparing_leaves_the_network_alone():
    network = trained(WEIGHTS["uniform"])
    before = {k: v.clone() for k, v in network.state_dict().items()}
    Deployment().prepare(network, [images(8)])
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in before.items())


def test_weights_off_their_codebook_are_refused():
    network = trained(WEIGHTS["power_of_two"])
    dict(network.weights())
    for _, weights in network.weights():
        weights.blend = 0.5
    deployed, _ = Deployment().prepare(network, [images(8)])
    with pytest.raises(UserError, match="not on their codebook"):
        lower(deployed, "small")
