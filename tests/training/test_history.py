"""The rows of `history.csv` say what the epoch that they stand for was trained with."""

import csv
import math
from types import SimpleNamespace

import pytest
import torch
from tests.runs import configuration
from torch import nn

from dyadic.commands.build import run
from dyadic.errors import UserError
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.schedules.blend import Geometric, linear
from dyadic.schedules.schedule import Phase, Schedule
from dyadic.training import callbacks
from dyadic.training.callbacks import History
from dyadic.training.curves import cosine
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training

RELAX = ("method=binary_relax", "schedule.epochs=2", "schedule.phase2_epochs=1", "deploy=none")
STEPS = 192 / 64  # of an epoch of the generated images


@pytest.mark.parametrize(
    ("schedule", "growth"),
    [("binary_relax", Geometric(rho=None, last=359.0, every=0.5)), ("binary_relax_linear", linear)],
)
def test_a_row_holds_the_blend_of_its_epochs_last_step(tmp_path, schedule, growth):
    summary = run(configuration(tmp_path, *RELAX, f"schedule={schedule}"))
    with (tmp_path / "runs" / summary["name"] / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    blends = [float(row["blend"]) for row in rows]
    trained = [growth(epoch + (STEPS - 1) / STEPS, 2) for epoch in (0, 1)]
    assert blends == pytest.approx([*trained, 1.0])
    assert blends[1] < 1.0


def test_a_row_holds_the_learning_rate_of_its_epochs_last_step(tmp_path):
    choices = ("method=inq", "schedule.portions=[0.5,1.0]", "deploy=none")
    summary = run(configuration(tmp_path, *choices, "trainer.optimizer.lr=0.5"))
    with (tmp_path / "runs" / summary["name"] / "history.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    # Each of the two epochs restarts the cosine: both end two thirds of the way down.
    assert rates == pytest.approx([0.5 * cosine((STEPS - 1) / STEPS)] * 2)


def test_an_epoch_of_fine_tuning_sees_its_share_of_the_images(tmp_path):
    choices = ("method=uniform", "schedule.epochs=2", "deploy=none", "trainer.epoch_share=0.34")
    summary = run(configuration(tmp_path, *choices))
    with (tmp_path / "runs" / summary["name"] / "history.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2"]  # of three batches


class Data:
    def train_batches(self, epoch, device=None):
        return [None] * 4

    def watched_batches(self):
        return [(torch.zeros(2, 2), torch.tensor([0, 1]))]


@pytest.mark.parametrize(("epoch", "phase", "event"), [(0, "a", "x"), (1, "b", "y"), (2, "b", "")])
def test_a_row_says_where_training_is_and_what_it_scored(
    tmp_path, monkeypatch, epoch, phase, event
):
    clock = iter([10.0, 12.346])
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    network, logged = nn.Linear(2, 2), []
    nn.init.zeros_(network.weight), nn.init.zeros_(network.bias)
    phases = [Phase("a", 1, "x"), Phase("b", 2, "y")]
    module = Training(network, Data(), phases, torch.optim.SGD, cosine, cross_entropy)
    logger = SimpleNamespace(log_metrics=lambda numbers, step: logged.append((numbers, step)))
    trainer = SimpleNamespace(
        current_epoch=epoch, global_step=4 * epoch + 4, is_global_zero=True, loggers=[logger],
        callback_metrics={"train_loss": torch.tensor(0.5)},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.25}, {"lr": 9.0}])],
    )  # fmt: skip
    history = History(tmp_path / "history.csv", None)
    history.on_train_epoch_start(trainer, module)
    history.on_train_batch_start(trainer, module, None, 3)
    history.on_train_epoch_end(trainer, module)
    numbers = {
        "quantized_share": 0.0, "blend": 0.0, "lr": 0.25, "train_loss": 0.5, "top1": 50.0,
        "val_loss": pytest.approx(math.log(2)), "top5": 100.0, "seconds": 2.35,
    }  # fmt: skip
    where = {"epoch": epoch, "step": 4 * epoch + 4, "phase": phase, "event": event}
    assert history.rows == [where | numbers]
    assert logged == [(numbers, 4 * epoch + 4)]
    again = History(tmp_path / "again.csv", None)
    again.load_state_dict(history.state_dict())
    assert again.rows == history.rows
    trainer.is_global_zero = False
    history.on_train_epoch_end(trainer, module)
    assert len(history.rows) == 1


@pytest.mark.parametrize("quantized", [True, False])
def test_the_schedule_measures_before_the_score_which_must_be_finite(tmp_path, quantized):
    called = []

    class Told(Schedule):
        def measure(self, network):
            called.append("measured")

        def blend(self, epoch):
            return epoch

    class Watched(Data):
        def watched_batches(self):
            called.append("scored")
            return super().watched_batches()

    network = nn.Linear(2, 2)
    if quantized:
        network = QuantizedNetwork(trace(network, torch.zeros(1, 2)), (2,))
    phases = [Phase("a", 3)]
    module = Training(network, Watched(), phases, torch.optim.SGD, cosine, cross_entropy)
    trainer = SimpleNamespace(
        current_epoch=1, global_step=8, is_global_zero=True, loggers=[],
        callback_metrics={"train_loss": torch.tensor(0.5)},
    )  # fmt: skip
    history = History(tmp_path / "history.csv", Told())
    history.on_train_epoch_end(trainer, module)
    assert called == ["measured", "scored"][not quantized :]
    assert history.rows[0]["quantized_share"] == float(quantized)
    assert history.rows[0]["blend"] == 1.75  # at the last of four steps
    with torch.no_grad():
        next(network.parameters())[0] = torch.nan
    with pytest.raises(UserError, match="epoch 2, on images that are not trained: the loss is nan"):
        history.on_train_epoch_end(trainer, module)
