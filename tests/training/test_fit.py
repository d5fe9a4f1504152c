"""Where and how Lightning's trainer computes."""

import pytest
from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from dyadic.schedules.schedule import Schedule
from dyadic.training.checkpoint import Checkpoints
from dyadic.training.fit import _placed
from dyadic.training.hardware import Hardware


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
