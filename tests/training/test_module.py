"""How long an epoch is, and which parameters decay."""

import pytest
import torch
from torch import nn

from dyadic.data.order import CPU
from dyadic.errors import UserError
from dyadic.schedules.schedule import Phase
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training, parameter_groups


class TenBatches:
    def train_batches(self, epoch, device=CPU):
        return [(torch.full((1, 2), float(epoch)), torch.tensor([0]))] * 10

    watched_batches = test_batches = lambda self: self.train_batches(0)


def training(**options) -> Training:
    network, phases = nn.Linear(2, 2), [Phase("a", 2), Phase("b", 3, restart=True)]
    halving = lambda progress: 1 - progress / 2  # noqa: E731
    optimizer = lambda groups: torch.optim.SGD(groups, lr=0.5, weight_decay=0.1)  # noqa: E731
    return Training(network, TenBatches(), phases, optimizer, halving, cross_entropy, **options)


@pytest.mark.parametrize(("share", "steps"), [(1.0, 10), (0.26, 3), (0.24, 2), (0.01, 1)])
def test_an_epoch_is_its_share_of_the_batches_and_at_least_one(share, steps):
    assert training(share=share).steps_per_epoch == steps
    assert training().steps_per_epoch == 10


def test_the_rate_follows_the_curve_at_every_step_and_restarts_with_a_phase():
    module = training(share=0.2)
    found = module.configure_optimizers()
    optimizer, scheduler = found["optimizer"], found["lr_scheduler"]
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler["scheduler"].step()
    assert scheduler["interval"] == "step"
    falls = [0, 1 / 4, 1 / 2, 3 / 4, *(step / 6 for step in range(6))]
    assert rates == pytest.approx([0.5 * (1 - fall / 2) for fall in falls])


def test_weights_decay_and_nothing_else_does():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))
    decayed, rest = parameter_groups(network)
    assert [p.ndim for p in decayed["params"]] == [4, 2]
    assert [p.ndim for p in rest["params"]] == [1, 1, 1, 1]
    assert "weight_decay" not in decayed
    assert rest["weight_decay"] == 0.0


def test_a_step_logs_and_gives_its_loss_and_refuses_one_that_is_not_finite(monkeypatch):
    module, logged = training(), {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    images, labels = torch.ones(4, 2), torch.tensor([0, 1, 1, 0])
    loss = module.training_step((images, labels), 0)
    assert torch.equal(loss, cross_entropy(module.network(images), labels, images))
    assert logged == {"train_loss": loss}
    with torch.no_grad():
        module.network.weight[0, 0] = torch.nan
    with pytest.raises(UserError, match="epoch 1, the loss alone"):
        module.training_step((images, labels), 0)


@pytest.mark.parametrize(
    ("device", "looks"), [("cpu", list(range(120))), ("meta", [0, 50, 100, 119])]
)
def test_a_loss_is_looked_at_in_every_step_unless_a_device_would_be_waited_for(
    monkeypatch, device, looks
):
    module, looked = training().to(device), []
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    monkeypatch.setattr(module, "steps_per_epoch", 120)
    monkeypatch.setattr("dyadic.training.module.check_step", lambda *_: looked.append(step))
    images, labels = torch.ones(4, 2, device=device), torch.tensor([0, 1, 1, 0], device=device)
    for step in range(120):
        module.training_step((images, labels), step)
    assert looked == looks
