"""What a training says of itself while it goes on."""

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from dyadic.schedules.schedule import Phase
from dyadic.training.callbacks import phase_at
from dyadic.training.module import Training
from dyadic.training.progress import QUIET_SECONDS, EpochLines, PhaseProgress, TimeLeft, minutes


class Clock:
    """A training of four epochs of ten steps, resumed after one, on a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.trainer: Any = SimpleNamespace(
            global_step=10, max_epochs=4, current_epoch=1, is_global_zero=True
        )
        self.module: Any = Training.__new__(Training)
        vars(self.module).update(
            steps_per_epoch=10, phases=[Phase("codes", 3), Phase("weights", 1)]
        )
        self.left = TimeLeft()

    def steps(self, count: int, seconds: float) -> None:
        self.trainer.global_step += count
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("dyadic.training.progress.time.monotonic", lambda: clock.now)
    clock.left.on_train_start(clock.trainer, clock.module)
    return clock


def test_the_time_left_is_that_of_the_steps_to_come(clock: Clock) -> None:
    assert clock.left(clock.trainer, clock.module) == ""
    clock.steps(5, 60.0)
    assert clock.left(clock.trainer, clock.module) == "5:00 left"
    clock.steps(25, 300.0)
    assert clock.left(clock.trainer, clock.module) == "0:00 left"
    clock.trainer.max_epochs = None
    assert clock.left(clock.trainer, clock.module) == ""


def test_minutes_and_seconds_have_two_digits_of_these() -> None:
    assert [minutes(s) for s in (0, 59.9, 60, 3601)] == ["0:00", "0:59", "1:00", "60:01"]


def test_a_line_every_half_minute_and_every_epoch(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    row = {"phase": "codes", "epoch": 1, "train_loss": 0.5, "top1": 75.0, "seconds": 31.0}
    lines = EpochLines("here", SimpleNamespace(rows=[{}, {}, row]), clock.left)

    def batch(index: int, seconds: float) -> str:
        caplog.clear()
        clock.steps(1, seconds)
        lines.on_train_batch_end(clock.trainer, clock.module, None, None, index)
        return caplog.text

    def epoch() -> str:
        caplog.clear()
        lines.on_train_epoch_end(clock.trainer, clock.module)
        return caplog.text

    with caplog.at_level(logging.INFO, "dyadic"):
        assert batch(0, QUIET_SECONDS - 1) == ""
        assert "here: epoch 2/4, 20 %, 7:00 left" in batch(1, 1.0)
        assert batch(2, QUIET_SECONDS - 1) == ""
        clock.now += 1.0
        line = "here: codes, epoch 2/4, loss 0.5000, top-1 75.00 %, 31 s, 9:00 left"
        assert line in epoch()
        assert batch(0, QUIET_SECONDS - 1) == ""
        assert "epoch 2/4, 100 %" in batch(9, 1.0)
        clock.trainer.is_global_zero = False
        assert epoch() == ""
        assert batch(2, QUIET_SECONDS) == ""


@pytest.mark.parametrize(
    ("epoch", "said"),
    [(0, "here: codes, epoch 1/4"), (2, "here: codes, epoch 3/4"), (3, "here: weights, epoch 4/4")],
)
def test_the_bar_says_the_phase_and_the_epoch(clock: Clock, epoch: int, said: str) -> None:
    bar = PhaseProgress("here", clock.left)
    clock.trainer.lightning_module = clock.module
    bar._trainer = clock.trainer
    assert bar._get_train_description(epoch) == said
    clock.trainer.progress_bar_metrics, clock.trainer.loggers = {"train_loss": 0.5}, []
    clock.steps(5, 60.0)
    assert bar.get_metrics(clock.trainer, clock.module) == {"train_loss": 0.5, "all": "5:00 left"}


def test_phases_follow_one_another() -> None:
    phases = [Phase("a", 1), Phase("b", 2)]
    found = [phase_at(phases, epoch) for epoch in range(3)]
    assert found == [(0, True), (1, True), (1, False)]
    with pytest.raises(IndexError, match="epoch 3 is after the last phase"):
        phase_at(phases, 3)
