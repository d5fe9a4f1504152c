"""Every weight quantizer under every schedule, on a ResNet and on an Inception, to the integers."""

import itertools

import numpy as np
import pytest
import torch
from tests.schedules.test_product import SCHEDULES, WEIGHTS, check
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import Float64Network
from dyadic.integer.lowering.lower import lower
from dyadic.models import resnet8, small_inception
from dyadic.models.normalize import normalized
from dyadic.quantizers.uniform import Uniform

MODELS = {"resnet8": resnet8, "small_inception": small_inception}


class Statistics:
    mean, std = (0.4, 0.6), (0.2, 0.3)


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (16, 2, 8, 8), dtype=torch.uint8)


def network_of(name: str) -> nn.Module:
    return normalized(MODELS[name](3, channels=2, width=2), Statistics())


def bounded(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """In a network this narrow channels die, and a batch norm without variance multiplies gradients
    by 300: steps must not be as long as the gradient is."""
    return torch.optim.Adam(parameters, lr=0.01)


def trained(build, drive, images, model: str, weight: str, schedule: str):
    quantizer, bits = WEIGHTS[weight]
    network = build(quantizer, Uniform, bits, network_of(model))
    drive(network, SCHEDULES[schedule](), bounded, steps=1)
    check(network, images)
    return network


# Every quantizer and every schedule at least once on both; the whole product is slow.
PAIRS = list(zip(WEIGHTS, itertools.cycle(SCHEDULES), strict=False))


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("weight", "schedule"), PAIRS)
def test_quantizers_and_schedules_on_networks(build, drive, images, model, weight, schedule):
    trained(build, drive, images, model, weight, schedule)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("weight", WEIGHTS)
def test_every_combination_runs_on_integers(build, drive, images, model, weight, schedule):
    network = trained(build, drive, images, model, weight, schedule)
    deployed, _ = Deployment().prepare(network, [images])
    if weight == "uniform per block":  # several scales in one filter
        with pytest.raises(UserError, match="one per output channel"):
            lower(deployed, model)
        return
    lowered = lower(deployed, model)
    logits = ReferenceEngine(lowered.program).run(images.numpy())
    assert np.array_equal(logits, Float64Network(deployed, lowered).logits(images).numpy())
