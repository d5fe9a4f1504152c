"""The rows of `history.csv` say what the epoch that they stand for was trained with."""

import csv

import pytest
from tests.runs import configuration

from dyadic.commands.build import run
from dyadic.schedules.blend import Geometric, linear
from dyadic.training.curves import cosine

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
