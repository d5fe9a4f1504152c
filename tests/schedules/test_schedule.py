"""What a schedule is: its phases, the order of its hooks, and what it calibrates."""

import functools

import pytest
import torch
from tests.schedules.test_product import SCHEDULES, check

from dyadic.errors import UserError
from dyadic.network.activations import activation_quantizations
from dyadic.network.quantized import calibrate
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.all_at_once import AllAtOnce
from dyadic.schedules.blend import GrowingBlend, linear, set_blend
from dyadic.schedules.bottom_up import TopLayers, WeightsOnly
from dyadic.schedules.freeze_then_fold import FreezeThenFold
from dyadic.schedules.log_training import LogTraining
from dyadic.schedules.partition import GrowingPartition
from dyadic.schedules.post_training import PostTraining
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.schedules.two_step import TwoStep

TRAINING = "quantization-aware training"
RANGES_FIXED = "freeze activation ranges"
FOLDED = Phase("batch norm folded", 2, "fold batch norm", restart=True)


@pytest.mark.parametrize(
    ("schedule", "phases"),
    [
        (PostTraining(), []),
        (AllAtOnce(5), [Phase(TRAINING, 5)]),
        (AllAtOnce(5, 5), [Phase(TRAINING, 5)]),
        (AllAtOnce(5, 3), [Phase(TRAINING, 3), Phase("ranges fixed", 2, RANGES_FIXED)]),
        (AllAtOnce(1, 0), [Phase("ranges fixed", 1, RANGES_FIXED)]),
        (LogTraining(3, None, moving_range=3), [Phase(TRAINING, 3)]),
        (
            GrowingBlend(3, 2, linear),
            [Phase("relaxation", 3), Phase("exact", 2, "projection only")],
        ),
        (FreezeThenFold(2), [Phase("batch norm moves", 1), FOLDED]),
        (FreezeThenFold(2, 3), [Phase("batch norm moves", 3), FOLDED]),
        (FreezeThenFold(2, 0), [FOLDED]),
        (FreezeThenFold(2, 3, fold_at_start=True), [FOLDED]),
        (
            GrowingPartition([0.125, 1.0], 2, 3),
            [
                Phase("12.5 % frozen", 2, "freeze 12.5 %", restart=True),
                Phase("100 % frozen", 3, "freeze 100 %", restart=True),
            ],
        ),
        (
            TwoStep(3, 2),
            [Phase("codes", 3), Phase("fine-tuning", 2, "weights layer by layer", restart=True)],
        ),
        (
            GrowingPartition([0.5, 1.0]),
            [
                Phase("50 % frozen", 1, "freeze 50 %", restart=True),
                Phase("100 % frozen", 1, "freeze 100 %", restart=True),
            ],
        ),
        (TwoStep(3, 0), [Phase("codes", 3)]),
        (
            TwoStep(3),
            [Phase("codes", 3), Phase("fine-tuning", 1, "weights layer by layer", restart=True)],
        ),
        (WeightsOnly(3), [Phase("weights only", 3)]),
        (TopLayers(3, 2), [Phase("top 2 layers", 3)]),
        (TopLayers(3, unit="block"), [Phase("top 1 blocks", 3)]),
    ],
)
def test_the_phases_say_how_long_what_and_whether_the_rate_restarts(build, schedule, phases):
    assert schedule.phases(build(None)) == phases


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: AllAtOnce(0),
        lambda: AllAtOnce(3, 4),
        lambda: AllAtOnce(3, -1),
        lambda: LogTraining(3, None, moving_range=4),
        lambda: GrowingBlend(0, 1, linear),
        lambda: GrowingBlend(1, -1, linear),
        lambda: FreezeThenFold(0),
        lambda: FreezeThenFold(1, -1),
        lambda: TwoStep(1, alternations=0),
        lambda: TwoStep(1, samples=0),
        lambda: TwoStep(1, images=0),
    ],
)
def test_phases_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError):
        wrong()


@pytest.mark.parametrize(
    "wrong",
    [
        {"portions": []},
        {"portions": [0.5, 0.9]},
        {"portions": [0.5, 0.5, 1.0]},
        {"portions": [0.0, 1.0]},
        {"portions": [1.0], "epochs_per_step": 0},
        {"portions": [1.0], "after": -1},
        {"portions": [1.0], "codebook": "twice"},
        {"portions": [1.0], "codebook": "per_step", "keep_zeros": True},
        {"portions": [1.0], "prune": 0.5},
        {"portions": [1.0], "prune": 1.0, "keep_zeros": True},
    ],
)
def test_portions_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError):
        GrowingPartition(**wrong)


def test_the_loop_calls_every_hook_in_its_order_and_mode(build, images):
    network, called = build(Uniform), []

    class Told(Schedule):
        def phases(self, network):
            return [Phase("a", 2), Phase("b", 1)]

        def begin(self, network):
            called.append("begin")

        def enter(self, network, phase, images):
            called.append(("enter", phase))

        def arrange(self, network, phase):
            called.append(("arrange", phase, network.training))

        def finish(self, network, images):
            called.append(("finish", network.training))

    for phase, epoch in Told().loop(network, images):
        called.append((phase.name, epoch))
        network.eval()  # as an evaluation leaves it
    assert called == [
        "begin",
        ("enter", 0), ("arrange", 0, True), ("a", 0), ("arrange", 0, True), ("a", 1),
        ("enter", 1), ("arrange", 1, True), ("b", 2),
        ("finish", False),
    ]  # fmt: skip
    assert Schedule().blend(0.0) == 1.0


def ranges(network) -> list[torch.Tensor]:
    found = activation_quantizations(network).values()
    return [end.value.clone() for q in found for end in (q.quantizer.range.mean,)]


@pytest.mark.parametrize(
    ("schedule", "blend"),
    [
        (AllAtOnce(2, 1), 1.0),
        (GrowingBlend(1, 1, linear), 1.0),
        (FreezeThenFold(1, 1), 1.0),
        (FreezeThenFold(1, 0), 1.0),
        (GrowingPartition([0.5, 1.0]), 0.0),
        (TwoStep(1, 1, strengths=[1.0], alternations=1, samples=64), 0.0),
        (TopLayers(1), 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_ranges_are_calibrated_at_the_start_and_never_again(build, images, schedule, blend):
    """On what the weights are when training starts: projected ones, or float ones."""
    network = build(functools.partial(Uniform), Uniform, bits=2)
    expected, other = network.clone(), network.clone()
    for copy, share in ((expected, blend), (other, 1.0 - blend)):
        set_blend(copy, share)
        calibrate(copy, images)
    schedule.begin(network)
    for phase in range(len(schedule.phases(network))):
        schedule.enter(network, phase, images * 100**phase)
    found = ranges(network)
    assert all(torch.equal(a, b) for a, b in zip(found, ranges(expected), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(found, ranges(other), strict=True))


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_a_loop_of_one_s_own_ends_with_everything_quantized_and_nothing_moving(
    build, images, schedule
):
    network = build(functools.partial(Uniform, granularity="per_channel"), Uniform)
    ours = schedule()
    for _, epoch in ours.loop(network, images):
        ours.step(network, epoch)
        network(images)
    check(network, images)


def test_ranges_that_are_fixed_from_the_start_never_move(build, images, drive):
    network, moving = build(Uniform, Uniform), []

    def watch(phase: int, moment: str) -> None:
        moving.append(any(q.observing for q in activation_quantizations(network).values()))

    drive(network, AllAtOnce(1, 0), watch=watch)
    assert moving == [False, False]


def test_re_estimated_statistics_are_followed_by_the_ranges_behind_them(build, images):
    network = build(Uniform, Uniform, bits=2)
    norm = network.body.get_submodule("bn1")
    before = norm.running_mean.clone()
    PostTraining().finish(network, images)
    assert torch.equal(norm.running_mean, before)
    PostTraining(re_estimate=True).finish(network, images)
    assert not torch.equal(norm.running_mean, before)
    found = ranges(network)
    calibrate(network, images)
    assert all(torch.equal(a, b) for a, b in zip(found, ranges(network), strict=True))
