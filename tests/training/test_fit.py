"""Where and how Lightning's trainer computes, and how a training goes on."""

import logging
import sys
from functools import partial

import pytest
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.loggers.logger import DummyLogger
from torch import nn

from dyadic.data.order import CPU
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.training.checkpoint import Checkpoints
from dyadic.training.curves import cosine
from dyadic.training.fit import _placed, fit
from dyadic.training.hardware import Hardware
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training

HARDWARE = Hardware("cpu", precision="32-true", threads=1)


@pytest.mark.parametrize(
    ("devices", "strategy", "schedule", "placed"),
    [
        (1, "auto", Schedule(), "auto"),
        (2, "auto", None, "auto"),
        (2, "auto", Schedule(), "ddp_find_unused_parameters_true"),
        (2, "ddp", Schedule(), "ddp_find_unused_parameters_true"),
        (2, "fsdp", Schedule(), "fsdp"),
    ],
)
def test_a_schedule_may_leave_layers_untrained_on_several_devices(
    devices, strategy, schedule, placed
):
    hardware = Hardware("cpu", devices, strategy, precision="32-true")
    found = _placed(hardware, schedule)
    kinds = [type(plugin) for plugin in found.pop("plugins")]
    assert found == {
        "accelerator": "cpu", "devices": devices, "strategy": placed, "precision": "32-true"
    }  # fmt: skip
    # What a queue left in the environment is believed where there are several processes alone.
    assert kinds == [Checkpoints, LightningEnvironment][: 2 if devices == 1 else 1]


class Batches:
    """Of two images each; a list would be several loaders."""

    def __init__(self, source: torch.Generator) -> None:
        self.images = torch.randn(4, 2, 2, generator=source)

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self):
        return iter([(images, torch.tensor([0, 1])) for images in self.images])


class Data:
    """Four batches an epoch, and others in every one; a run is cut short while it scores `cut`."""

    def __init__(self, cut: int | None = None) -> None:
        self.asked: list[int] = []
        self.scored, self.cut = 0, cut

    def train_batches(self, epoch: int, device: torch.device = CPU) -> Batches:
        self.asked.append(epoch)
        return Batches(torch.Generator().manual_seed(epoch))

    def watched_batches(self) -> Batches:
        self.scored += 1
        if self.scored == self.cut:
            raise InterruptedError
        return Batches(torch.Generator().manual_seed(9))


def training(data: Data, network: nn.Module | None = None, share: float = 1.0) -> Training:
    torch.manual_seed(0)
    network = nn.Linear(2, 2) if network is None else network
    phases = [Phase("a", 1), Phase("b", 2, restart=True)]
    optimizer = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
    return Training(network, data, phases, optimizer, cosine, cross_entropy, share)


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:The dirpath has changed")
def test_a_training_cut_short_goes_on_elsewhere_to_the_same_weights(tmp_path, caplog) -> None:
    whole, cut, rest = training(Data()), training(Data(cut=2)), training(Data())
    rows = fit(whole, tmp_path / "whole", HARDWARE, "here")
    with pytest.raises(InterruptedError):
        fit(cut, tmp_path / "cut", HARDWARE, "here")
    assert "resuming" not in caplog.text
    moved = (tmp_path / "cut").rename(tmp_path / "moved")
    with caplog.at_level(logging.INFO, "dyadic"):
        found = fit(rest, moved, HARDWARE, "here")
    last = moved / "checkpoint" / "last.ckpt"
    assert f"here: resuming from {last}" in caplog.text
    assert "here: b, epoch 3/3, loss" in caplog.text
    assert [row | {"seconds": 0} for row in found] == [row | {"seconds": 0} for row in rows]
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert torch.equal(whole.network.weight, rest.network.weight)
    assert (moved / "history.csv").read_text().count("\n") == 4
    assert whole.data.asked == [0, 0, 1, 2]  # the first for its number of batches
    assert (whole.data.scored, cut.data.scored, rest.data.scored) == (3, 2, 2)
    assert [path.name for path in last.parent.iterdir()] == ["last.ckpt"]
    names = {path.name for path in (tmp_path / "whole").iterdir()}
    assert names == {"checkpoint", "history.csv"}


def test_loggers_hear_of_every_epoch_and_the_schedule_is_followed(
    tmp_path, monkeypatch, capsys
) -> None:
    heard, called = [], []

    class Logger(DummyLogger):
        def log_metrics(self, metrics, step=None):
            heard.append((step, metrics.get("top1")))

    class Told(Schedule):
        def enter(self, network, phase, images):
            called.append((phase, len(images)))

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    network = QuantizedNetwork(trace(nn.Linear(2, 2), torch.zeros(1, 2)), (2,))
    module, images = training(Data(), network, share=0.5), torch.zeros(3, 2)
    fit(module, tmp_path, HARDWARE, "here", Told(), images, [Logger()])
    assert [step for step, top1 in heard if top1 is not None] == [2, 4, 6]
    assert called == [(0, 3), (1, 3)]
    assert "here: b, epoch 3/3" in capsys.readouterr().out
