"""A loss that is not finite ends training in one line, and leaves no baseline."""

import math
import re

import pytest
import torch
from tests.runs import configuration
from torch import nn

from dyadic.commands.build import run
from dyadic.errors import UserError
from dyadic.training import finite
from dyadic.training.finite import check_step, first_infinite, refuse_infinite


def test_training_that_diverges_is_one_line_and_nothing_is_kept(tmp_path):
    choices = ("trainer.baseline.optimizer.lr=1e30", "start=train", "deploy=none")
    with pytest.raises(UserError, match=r"epoch 1, \w+ of layer \w.*lower learning rate") as told:
        run(configuration(tmp_path, "method=inq", *choices))
    assert "\n" not in str(told.value)
    assert not list(tmp_path.rglob("baseline.json"))
    assert not list(tmp_path.rglob("weights.pt"))
    assert not list(tmp_path.rglob("summary.json"))


def test_the_first_layer_is_named_by_its_weights_or_its_output():
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    images = torch.ones(3, 2)
    assert first_infinite(network, images) == ""
    with torch.no_grad():
        network[0].weight[:] = 3e38
    network[0].bias = None
    assert first_infinite(network, images) == "output of layer 0"
    with torch.no_grad():
        network[0].weight[:] = 1.0
        network[2].weight[0, 0] = math.nan
    assert re.match("weights of layer 2", first_infinite(network, images))
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize("loss", [math.inf, -math.inf, math.nan])
def test_a_loss_that_is_not_finite_is_refused_with_its_place_and_its_epoch(loss):
    with pytest.raises(UserError, match="here: the loss is"):
        refuse_infinite(loss, "here")
    network, images = nn.Sequential(nn.Linear(2, 2)), torch.ones(3, 2)
    with pytest.raises(UserError, match="epoch 5, the loss alone: the loss is nan"):
        check_step(torch.tensor(loss), network, images, epoch=4)
    with torch.no_grad():
        network[0].bias[0] = loss
    with pytest.raises(UserError, match="epoch 1, weights of layer 0: the loss is nan"):
        check_step(torch.tensor(loss), network, images, epoch=0)


def test_a_finite_loss_passes():
    refuse_infinite(3e38, "here")
    check_step(torch.tensor(1.0), nn.Linear(2, 2), torch.ones(3, 2), epoch=0)


def test_all_processes_stop_with_the_one_whose_loss_is_not_finite(monkeypatch):
    monkeypatch.setattr(finite.dist, "is_available", lambda: True)
    monkeypatch.setattr(finite.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(finite.dist, "all_reduce", lambda least, operation: least.zero_())
    with pytest.raises(UserError, match="epoch 1, the loss alone"):
        check_step(torch.tensor(1.0), nn.Linear(2, 2), torch.ones(3, 2), epoch=0)
