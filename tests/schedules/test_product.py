"""The axes are independent: every weight quantizer trains under every schedule."""

import functools
import inspect
from collections.abc import Callable

import pytest
import torch
from torch import nn

from dyadic.network.activations import activation_quantizations
from dyadic.network.weights import latent_weight
from dyadic.quantizers.binary import Binary
from dyadic.quantizers.fixed_point import FixedPoint
from dyadic.quantizers.half_wave import HalfWave, RoundedHalfWave, SparseHalfWave
from dyadic.quantizers.learned import Lsq, Pact
from dyadic.quantizers.lloyd import Lloyd
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.rounding import Stochastic
from dyadic.quantizers.ternary import Ternary
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.all_at_once import AllAtOnce
from dyadic.schedules.blend import Geometric, GrowingBlend, linear
from dyadic.schedules.bottom_up import BottomUp, TopLayers, WeightsOnly
from dyadic.schedules.freeze_then_fold import FreezeThenFold
from dyadic.schedules.log_training import LogTraining
from dyadic.schedules.partition import GrowingPartition
from dyadic.schedules.post_training import PostTraining
from dyadic.schedules.schedule import Schedule
from dyadic.schedules.stretched import Stretched
from dyadic.schedules.two_step import TwoStep

WEIGHTS = {
    "uniform": (Uniform, 4),
    "uniform per channel": (functools.partial(Uniform, granularity="per_channel"), 4),
    "uniform per group": (functools.partial(Uniform, granularity="per_group", group_size=3), 4),
    "uniform per block": (functools.partial(Uniform, granularity="per_block", group_size=5), 4),
    "uniform asymmetric": (functools.partial(Uniform, symmetric=False), 4),
    "uniform stochastic": (functools.partial(Uniform, rounding=Stochastic()), 4),
    "power of two": (PowerOfTwo, 5),
    "power of two by mse": (functools.partial(PowerOfTwo, n1="mse"), 3),
    "log": (Logarithmic, 4),
    "log sqrt 2": (functools.partial(Logarithmic, base="sqrt2"), 4),
    "binary": (Binary, 1),
    "ternary": (Ternary, 2),
    "ternary per filter": (functools.partial(Ternary, granularity="per_channel"), 2),
    "ternary twn": (functools.partial(Ternary, rule="twn"), 2),
    "lloyd": (Lloyd, 3),
    "fixed point": (FixedPoint, 4),
    "lsq": (Lsq, 3),
    "none": (None, 4),
}
SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "none": PostTraining,
    "bias correction": lambda: PostTraining(bias_correction=True),
    "all at once": lambda: AllAtOnce(2, moving_range=1),
    "partition": lambda: GrowingPartition([0.5, 1.0]),
    "re-ranked partition": lambda: GrowingPartition(
        [0.5, 1.0], after=0, cumulative=False, codebook="per_step"
    ),
    "blend": lambda: GrowingBlend(1, 1, Geometric()),
    "linear blend": lambda: GrowingBlend(1, 0, linear),
    "bottom up": lambda: BottomUp(1),
    "weights only": lambda: WeightsOnly(1),
    "top layers": lambda: TopLayers(1),
    "two step": lambda: TwoStep(1, strengths=[1.0], alternations=1, samples=64),
    "fold": lambda: FreezeThenFold(1),
    "log training": lambda: LogTraining(1, Logarithmic),
}
ACTIVATIONS = {
    "uniform": Uniform,
    "uniform dynamic": functools.partial(Uniform, dynamic=True),
    "log": Logarithmic,
    "fixed point": FixedPoint,
    "half wave": HalfWave,
    "half wave rounded": RoundedHalfWave,
    "sparse": SparseHalfWave,
    "pact": Pact,
    "lsq": Lsq,
    "none": None,
}


def check(network, images) -> None:
    """Every weight is on its codebook, every activation is quantized, nothing is broken."""
    network.eval()
    assert network.quantized_share() == 1.0
    assert all(q.enabled and not q.observing for q in activation_quantizations(network).values())
    with torch.no_grad():
        assert network(images).isfinite().all()
        for layer, weights in network.weights():
            w = layer.module.weight
            book = weights.codebook(latent_weight(layer.module))
            assert torch.equal(book(w), w)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize(("weight", "bits"), WEIGHTS.values(), ids=WEIGHTS.keys())
def test_every_weight_quantizer_under_every_schedule(build, drive, images, weight, bits, schedule):
    network = build(weight, Uniform, bits)
    drive(network, schedule(), steps=1)
    check(network, images)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
def test_every_activation_quantizer_under_every_schedule(
    build, drive, images, activation, schedule
):
    network = build(functools.partial(Uniform, granularity="per_channel"), activation, 4)
    drive(network, schedule(), steps=1)
    check(network, images)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_a_chain_with_a_pool_and_two_linear_layers(build, drive, images, chain, schedule):
    network = build(PowerOfTwo, Uniform, 5, chain)
    drive(network, schedule(), steps=1)
    check(network, images)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_grouped_convolutions(build, drive, images, schedule):
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3),
    )  # fmt: skip
    network = build(functools.partial(Ternary, granularity="per_channel"), Uniform, 2, model)
    drive(network, schedule(), steps=1)
    check(network, images)


def classes(root: type, package: str) -> set[type]:
    """The classes of a package below a root that can be instantiated."""
    found = set()
    for kind in root.__subclasses__():
        if kind.__module__.startswith(package) and not inspect.isabstract(kind):
            found.add(kind)
        found |= classes(kind, package)
    return found


def test_nothing_is_left_out_of_the_product():
    weights = {getattr(factory, "func", factory) for factory, _ in WEIGHTS.values()}
    activations = {getattr(factory, "func", factory) for factory in ACTIVATIONS.values()}
    assert classes(Quantizer, "dyadic.quantizers") <= weights | activations
    made = {type(schedule()) for schedule in SCHEDULES.values()}
    # One that stretches another is no schedule of its own.
    assert made == classes(Schedule, "dyadic.schedules") - {Stretched}
