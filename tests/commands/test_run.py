"""A run as a user sees it: one command, a record, no second run, one line for a mistake."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.runs import ENGINES, ROOT, call, command, configuration, rows_of

from dyadic.commands.build import build, run
from dyadic.errors import UserError

INQ = ("method=inq", "schedule.portions=[0.5,1.0]", "schedule.after=1", "deploy=none")


def summary_of(results: Path) -> dict:
    (path,) = results.glob("runs/*/summary.json")
    return json.loads(path.read_text())


def test_a_run_leaves_a_whole_record(tmp_path):
    summary = run(configuration(tmp_path, "method=inq", "schedule.portions=[0.5,1.0]"))
    directory = tmp_path / "runs" / summary["name"]
    names = {path.name for path in directory.iterdir()}
    assert {"config.yaml", "history.csv", "layers.csv", "histograms.npz", "checkpoint"} <= names
    assert {"program.json", "weights.npz", "program.onnx", "c", "summary.json"} <= names
    assert summary == json.loads((directory / "summary.json").read_text())
    integer = summary["integer"]
    assert integer["mismatched_logits"] == integer["mismatched_vs_float64"] == 0
    assert integer["images"] == 96
    assert integer["engines"] == ENGINES
    assert summary["top1_drop"] == pytest.approx(summary["float_top1"] - summary["top1"], abs=1e-3)
    rows = rows_of(directory / "layers.csv")
    assert [row["weight_bits"] for row in rows] == ["5"] * len(rows)
    assert max(int(row["levels"]) for row in rows) == 17
    assert np.load(directory / "histograms.npz")["confusion"].sum() == 96


def test_a_finished_run_is_shown_without_heavy_imports(tmp_path):
    summary = run(configuration(tmp_path, "method=log2", "deploy=none"))
    lines = [
        sys.executable,
        "-X",
        "importtime",
        *command(tmp_path, "method=log2", "deploy=none")[1:],
    ]
    found = subprocess.run(lines, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"{summary['top1']:.2f} %" in found.stdout
    imported = {line.rsplit("|", 1)[1].strip() for line in found.stderr.splitlines() if "|" in line}
    assert "dyadic.record.show" in imported
    assert not imported & {"torch", "pytorch_lightning", "onnxruntime"}


def test_a_finished_run_is_only_read(tmp_path, monkeypatch):
    first = run(configuration(tmp_path, *INQ))
    monkeypatch.setattr("dyadic.commands.build.train", lambda parts: pytest.fail("trained again"))
    assert run(configuration(tmp_path, *INQ)) == first


def test_the_baseline_is_trained_once_for_all_methods(tmp_path):
    first = run(configuration(tmp_path, "method=log2", "deploy=none"))
    second = run(configuration(tmp_path, "method=log_sqrt2", "deploy=none"))
    assert len(list(tmp_path.glob("baselines/*/baseline.json"))) == 1
    assert first["float_top1"] == second["float_top1"]


def states(results: Path) -> dict[str, torch.Tensor]:
    (path,) = results.glob("runs/*/checkpoint/last.ckpt")
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert call(whole, *INQ).returncode == 0
    process = subprocess.Popen(command(broken, *INQ), cwd=ROOT, stderr=subprocess.DEVNULL)
    while not list(broken.glob("runs/*/checkpoint/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not list(broken.glob("runs/*/summary.json"))
    assert call(broken, *INQ).returncode == 0
    assert summary_of(broken)["top1"] == summary_of(whole)["top1"]
    assert all(torch.equal(v, states(broken)[k]) for k, v in states(whole).items())


def test_a_terminated_run_ends_with_143(tmp_path):
    process = subprocess.Popen(command(tmp_path, *INQ), cwd=ROOT, stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("runs/*/history.csv")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert not list(tmp_path.glob("runs/*/summary.json"))


def test_a_sweep_counts_and_its_repetition_only_retries_what_failed(tmp_path):
    choices = ("-m", "method=log2", "deploy=none", "bits=3,4,1")
    first = call(tmp_path, *choices, RANK="1")  # left in the environment by a queue: no matter
    assert first.returncode == 1
    assert "2 done, 1 failed" in first.stdout
    assert "failed" in next(tmp_path.glob("runs/*-b1-*/run.log")).read_text()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/summary.json")}
    assert len(before) == 2
    assert "2 done, 1 failed" in call(tmp_path, *choices).stdout
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.glob("runs/*/summary.json")}


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("bits=1", "it takes 2 to 8 bits"),
        ("method=nope", "there are binary_relax, bottom_up"),
        ("bitz=3", "bitz"),
        ("start=own", "no value for start.weights; set it"),
        ("bits=[", "NAME=VALUE"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_two(tmp_path, choice, says):
    result = call(tmp_path, "method=inq", choice)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert not list(tmp_path.glob("**/summary.json"))


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    result = call(tmp_path / "file", "method=inq")
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {tmp_path / 'file'}")
    assert result.stderr.endswith("must be folders to read and write\n")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("most", [4, 40])
def test_where_there_is_no_room_one_line_says_so_and_nothing_looks_finished(tmp_path, most):
    """As on a full disk, which is not to be had everywhere: no file may be of more blocks."""
    limited = ["sh", "-c", 'ulimit -f "$0" && exec "$@"', str(most), *command(tmp_path, *INQ)]
    result = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.endswith("make room where results_dir is\n")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.glob("**/summary.json"))


@pytest.mark.parametrize(
    "choices",
    [
        ("method=inq", "bits=0"),
        ("method=uniform", "+allocation.overrides.nolayer=8"),
        ("method=hawq_v3", "allocation=ilp", "allocation.budget.size=0.001MiB"),
        ("method=hawq_v3", "allocation=ilp", "sensitivity=none"),
    ],
)
def test_choices_that_cannot_be_are_met_before_anything_is_trained(tmp_path, choices):
    with pytest.raises(UserError):
        run(configuration(tmp_path, *choices))
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("bits=1", "2"),
        ("trainer.hardware.precision=fp8", "^trainer.hardware.precision=fp8; .* bf16-mixed"),
        ("trainer.hardware.threads=0", "^trainer.hardware.threads=0; "),
        ("model.width=0", "^model.width=0; "),
        ("deploy.stream_bits=3", "^deploy.stream_bits=3; .*8 to 16"),
        ("schedule.portions=[0.5,0.2]", "portions"),
        ("trainer.optimizer._target_=torch.optim.Sgd", "Sgd"),
        ("schedule.after=-1", "^schedule.after=-1; "),
        ("schedule.portions=[0.5]", "^schedule.portions="),
        ("dataset.batch_size=0", "^dataset.batch_size=0; "),
        ("trainer.baseline.curve.warmup=2", "^trainer.baseline.curve.warmup=2"),
        ("trainer.optimizer.lr=-1", "^the optimizer: .*-1"),
        ("trainer.baseline.optimizer.lr=-1", "^the baseline's optimizer: .*-1"),
    ],
)
def test_wrong_values_say_what_would_be_right(tmp_path, choice, says):
    with pytest.raises(UserError, match=says):
        run(configuration(tmp_path, "method=inq", choice))


def test_history_has_the_blend_of_each_epochs_last_step(tmp_path):
    choices = configuration(
        tmp_path, "method=binary_relax", "schedule.epochs=2", "schedule.phase2_epochs=1"
    )
    run(choices)
    (history,) = tmp_path.glob("runs/*/history.csv")
    rows = rows_of(history)
    steps, schedule = int(rows[0]["step"]), build(choices, tmp_path).schedule
    last = [schedule.blend(epoch + 1 - 1 / steps) for epoch in range(3)]
    assert 0 < last[0] < last[1] < last[2] == 1
    assert [float(row["blend"]) for row in rows] == pytest.approx(last)


def test_epochs_are_those_of_the_fine_tuning_in_all(tmp_path):
    summary = run(configuration(tmp_path, "method=inq", "deploy=none", "epochs=6"))
    assert summary["epochs"] == {"baseline": 1, "quantize": 6}
    with pytest.raises(UserError, match="epochs=3; the schedule has 4 phases"):
        run(configuration(tmp_path, "method=inq", "deploy=none", "epochs=3"))


def test_names_depend_on_choices_and_not_on_places(tmp_path):
    name = configuration(tmp_path, *INQ).name
    assert configuration(tmp_path / "elsewhere", *INQ, "force=true").name == name
    assert configuration(tmp_path, *INQ, "schedule.after=0").name != name
    assert name.startswith("synthetic-resnet8-inq-b5-s0-")
