"""Networks of a few hundred weights, and training as the harness does it in a loop of ten lines."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyadic.network.insert import ActivationFactory, WeightFactory
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.schedules.schedule import Schedule

IMAGE = (2, 8, 8)
CLASSES = 3


class Residual(nn.Module):
    """conv - bn - relu - conv - bn - add - relu - pool - linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.relu1, self.relu2, self.pool = nn.ReLU(), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)) + x)
        return self.fc(torch.flatten(self.pool(x), 1))


def chain() -> nn.Module:
    """Four weight layers in a row: conv - bn - relu, twice, pool, linear - relu - linear."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, CLASSES),
    )  # fmt: skip


@pytest.fixture
def images() -> Tensor:
    return torch.randn(16, *IMAGE)


Build = Callable[..., QuantizedNetwork]


@pytest.fixture
def build() -> Build:
    """Makes a quantized network: build(weight factory, activation factory, bits, model)."""

    def make(
        weight: WeightFactory | None,
        activation: ActivationFactory | None = None,
        bits: int = 4,
        model: nn.Module | None = None,
    ) -> QuantizedNetwork:
        model = Residual() if model is None else copy.deepcopy(model)
        with torch.no_grad():
            for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
                norm.weight.uniform_(0.5, 1.5), norm.bias.uniform_(-0.5, 0.5)
                norm.running_mean.uniform_(-0.5, 0.5), norm.running_var.uniform_(0.5, 2.0)
        network = QuantizedNetwork(trace(model, torch.zeros(2, *IMAGE)), IMAGE)
        widths = {layer.name: (bits, bits) for layer in network.layers}
        return network.quantize(widths, weight, activation)

    return make


Drive = Callable[..., None]


def nesterov(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True)


@pytest.fixture
def drive(images: Tensor) -> Drive:
    """Trains through all phases of a schedule; `watch(phase, moment)` sees what happens between."""

    def train(
        network: QuantizedNetwork,
        schedule: Schedule,
        optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer] = nesterov,
        steps: int = 2,
        watch: Callable[[int, str], None] = lambda phase, moment: None,
    ) -> None:
        labels = torch.arange(len(images)) % CLASSES
        schedule.begin(network)
        update = optimizer(list(network.parameters()))
        epoch = 0
        for index, phase in enumerate(schedule.phases(network)):
            schedule.enter(network, index, images)
            if phase.restart:
                update.state.clear()
            for _ in range(phase.epochs):
                network.train()
                schedule.arrange(network, index)
                watch(index, "arranged")
                for step in range(steps):
                    schedule.step(network, epoch + step / steps)
                    update.zero_grad()
                    F.cross_entropy(network(images), labels).backward()
                    update.step()
                schedule.measure(network)
                watch(index, "trained")
                epoch += 1
        schedule.finish(network, images)

    return train


@pytest.fixture(name="chain")
def chain_of_four() -> nn.Module:
    return chain()
