"""Hardware by its words, and the time that is left."""

from types import SimpleNamespace
from typing import Any

import pytest

from dyadic.errors import UserError
from dyadic.training.hardware import Hardware, physical_cores
from dyadic.training.progress import TimeLeft


def test_auto_is_every_physical_core_and_the_record_has_the_number() -> None:
    assert 1 <= Hardware().resolved_threads == physical_cores()
    assert f"{physical_cores()} threads" in Hardware(accelerator="cpu").describe()
    assert Hardware(threads=3).resolved_threads == 3


@pytest.mark.parametrize("threads", [0, -1, "two", 1.5])
def test_other_numbers_of_threads_are_refused(threads: Any) -> None:
    with pytest.raises(UserError, match="use auto, or at least 1"):
        Hardware(threads=threads)


def test_the_time_left_is_that_of_the_steps_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("dyadic.training.progress.time.monotonic", lambda: now)
    trainer: Any = SimpleNamespace(global_step=10, max_epochs=4)  # resumed after one epoch
    module: Any = SimpleNamespace(steps_per_epoch=10)
    left = TimeLeft()
    left.on_train_start(trainer, module)
    assert left(trainer, module) == ""
    trainer.global_step, now = 15, 160.0
    assert left(trainer, module) == "5:00 left"
