import pytest
import torch
from torch import nn

from dyadic.network.activations import activation_quantizations, observe
from dyadic.network.quantized import calibrate
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.all_at_once import AllAtOnce
from dyadic.schedules.blend import GrowingBlend, linear
from dyadic.schedules.freeze_then_fold import FreezeThenFold
from dyadic.schedules.partition import GrowingPartition
from dyadic.schedules.post_training import PostTraining, re_estimate
from dyadic.schedules.two_step import TwoStep


def ranges(network) -> list[torch.Tensor]:
    found = activation_quantizations(network).values()
    return [q.quantizer.range.mean.value.clone() for q in found]


def test_calibration_forgets_what_it_saw_of_another_network(build, images):
    network = build(None, Uniform)
    calibrate(network, images)
    fresh = ranges(network)
    calibrate(network, 100 * images)
    calibrate(network, images)
    assert all(torch.equal(a, b) for a, b in zip(ranges(network), fresh, strict=True))


def test_only_the_named_ranges_move(build, images):
    network = build(None, Uniform)
    calibrate(network, images)
    before, names = ranges(network), list(activation_quantizations(network))
    calibrate(network, 2 * images, only={names[1]})
    moved = [not torch.equal(a, b) for a, b in zip(ranges(network), before, strict=True)]
    assert moved == [index == 1 for index in range(len(names))]


def test_re_estimated_batch_norms_have_the_statistics_of_the_quantized_network(build, images):
    network = build(Logarithmic, Uniform, 3)
    kept = {n: p.clone() for n, p in network.named_parameters()}
    calibrate(network, images)
    re_estimate(network, images)
    found, norms = [], [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(lambda norm, inputs, _: found.append((norm, inputs[0])))
    network.eval()(images)
    assert len(found) == len(norms) > 0
    assert all(norm.momentum == 0.1 for norm in norms)
    for norm, x in found:
        torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)), rtol=1e-2, atol=1e-3)
        torch.testing.assert_close(norm.running_var, x.var((0, 2, 3)), rtol=1e-2, atol=1e-3)
    assert all(torch.equal(p, kept[n]) for n, p in network.named_parameters())


@pytest.mark.parametrize("look", [re_estimate, lambda network, _: AllAtOnce(1).measure(network)])
def test_ranges_do_not_move_where_statistics_or_scores_are_taken(build, images, look):
    network = build(Logarithmic, Uniform)
    calibrate(network, images)
    before = ranges(network)
    observe(network, True)
    look(network, images)
    network(100 * images)
    assert all(torch.equal(a, b) for a, b in zip(ranges(network), before, strict=True))


def test_post_training_moves_nothing_but_the_ranges(build, drive):
    network = build(Uniform, Uniform)
    before = {n: p.clone() for n, p in network.named_parameters()}
    assert PostTraining().phases(network) == []
    drive(network, PostTraining())
    assert all(torch.equal(p, before[n]) for n, p in network.named_parameters())
    assert all(len(r) for r in ranges(network))


def test_ranges_follow_training_until_they_are_frozen_and_never_see_an_evaluation(build, drive):
    network = build(Uniform, Uniform)
    seen = []

    def watch(phase: int, moment: str) -> None:
        flags = [q.observing for q in activation_quantizations(network).values()]
        seen.append((moment, flags[0], ranges(network)[1]))

    schedule = AllAtOnce(epochs=2, moving_range=1)
    assert [p.epochs for p in schedule.phases(network)] == [1, 1]
    drive(network, schedule, watch=watch)
    assert [s[:2] for s in seen] == [
        ("arranged", True), ("trained", False), ("arranged", False), ("trained", False)
    ]  # fmt: skip
    assert not torch.equal(seen[0][2], seen[1][2])
    assert torch.equal(seen[1][2], seen[2][2])
    assert torch.equal(seen[2][2], seen[3][2])


def test_all_ranges_may_move_to_the_end_or_not_at_all(build):
    network = build(Uniform)
    assert [p.name for p in AllAtOnce(3).phases(network)] == ["quantization-aware training"]
    assert [p.name for p in AllAtOnce(3, 0).phases(network)] == ["ranges fixed"]


@pytest.mark.parametrize(
    "schedule",
    [
        GrowingBlend(1, 1, linear),
        FreezeThenFold(epochs=1, moving_epochs=1),
        GrowingPartition([0.5, 1.0], epochs_per_step=1, after=1),
        TwoStep(1, strengths=[1.0], alternations=1, samples=64),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_ranges_move_in_every_epoch_and_stay_at_the_end(build, drive, schedule):
    network = build(Uniform, Uniform)
    moving = []

    def watch(phase: int, moment: str) -> None:
        if moment == "arranged":
            moving.append(all(q.observing for q in activation_quantizations(network).values()))

    drive(network, schedule, watch=watch)
    assert len(moving) >= 2
    assert all(moving)
    assert not any(q.observing for q in activation_quantizations(network).values())
