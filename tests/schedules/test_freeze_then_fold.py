import functools

import pytest
import torch
from torch import nn

from dyadic.errors import UserError
from dyadic.network.fold import affine
from dyadic.network.trace import trace
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.freeze_then_fold import FreezeThenFold, fold_in_place, folded_pairs

PER_CHANNEL = functools.partial(Uniform, granularity="per_channel")


@pytest.mark.parametrize("weight", [None, PER_CHANNEL])
def test_folding_changes_neither_the_outputs_nor_the_state_dict(build, images, weight):
    network = build(weight, bits=8).eval()
    with torch.no_grad():
        network.body.bn1.weight[0] *= -1
    before, keys = network(images), {k: v.shape for k, v in network.state_dict().items()}
    fold_in_place(network.body)
    assert torch.allclose(network(images), before, atol=1e-5)
    assert {k: v.shape for k, v in network.state_dict().items()} == keys


def test_folded_batch_norm_only_adds_the_bias(build):
    network = build(PER_CHANNEL)
    fold_in_place(network.body)
    for _, norm in folded_pairs(network.body):
        multiplier, shift = affine(norm)
        assert torch.equal(multiplier.float(), torch.ones(4))
        assert torch.equal(shift.float(), norm.bias)


def test_a_bias_of_the_convolution_joins_the_fold(build, images):
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    network = build(None, model=model).eval()
    before = network(images)
    fold_in_place(network.body)
    conv = next(folded_pairs(network.body))[0]
    assert (conv.bias == 0).all()
    assert torch.allclose(network(images), before, atol=1e-5)


def test_folding_twice_is_folding_once(build, images):
    network = build(PER_CHANNEL)
    fold_in_place(network.body)
    once = {k: v.clone() for k, v in network.state_dict().items()}
    fold_in_place(network.body)
    assert all(torch.equal(v, once[k]) for k, v in network.state_dict().items())


def test_statistics_move_first_then_only_weights_and_bias_train(build, drive):
    network = build(PER_CHANNEL, Uniform)
    states = []

    def watch(phase: int, moment: str) -> None:
        states.append({k: v.clone() for k, v in network.body.bn1.state_dict().items()})

    drive(network, FreezeThenFold(epochs=2, moving_epochs=1), watch=watch)
    moved, before, after = states[:2], states[2], states[-1]
    assert not torch.equal(moved[0]["running_mean"], moved[1]["running_mean"])
    for key in ("weight", "running_mean", "running_var"):
        assert torch.equal(before[key], after[key])
    assert (before["weight"] == 1).all()
    assert not torch.equal(before["bias"], after["bias"])


@pytest.mark.parametrize("choice", [{"fold_at_start": True}, {"moving_epochs": 0}])
def test_folding_at_the_start_has_one_phase_and_moves_no_statistics(build, drive, choice):
    network, schedule = build(PER_CHANNEL), FreezeThenFold(epochs=2, **choice)
    assert [(p.name, p.epochs) for p in schedule.phases(network)] == [("batch norm folded", 2)]
    seen = []

    def watch(phase: int, moment: str) -> None:
        seen.append({k: v.clone() for k, v in network.body.bn1.state_dict().items()})

    drive(network, schedule, watch=watch)
    assert all((state["weight"] == 1).all() for state in seen)
    assert torch.equal(seen[0]["running_mean"], seen[-1]["running_mean"])
    assert not torch.equal(seen[0]["bias"], seen[-1]["bias"])


def test_batch_norm_without_affine_parameters_is_refused(build):
    model = nn.Sequential(nn.Conv2d(2, 3, 8), nn.BatchNorm2d(3, affine=False), nn.Flatten())
    with pytest.raises(UserError, match="affine"):
        fold_in_place(trace(model, torch.randn(2, 2, 8, 8)))
