"""Many runs at once, and several processes for one: the same numbers, one record each."""

import fcntl
import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from tests.runs import ROOT, call, command, configuration

from dyadic.commands.build import run

LOG2 = ("method=log2", "deploy=none")
INQ = ("method=inq", "schedule.portions=[0.5,1.0]", "schedule.after=1", "deploy=none")
JOBLIB = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
DDP = tuple(
    f"trainer.hardware.{choice}" for choice in ("accelerator=cpu", "devices=2", "strategy=ddp")
)

LEARNABLE = (  # in three epochs, by a network of any luck
    *("dataset.classes=4", "dataset.source.train_images=512", "dataset.source.noise=0.2"),
    *("dataset.batch_size=32", "trainer.baseline.epochs=3"),
)


def summaries(results: Path) -> dict[str, dict]:
    """Every record by its name; a temporary file that is left anywhere is a failure."""
    assert not [p for p in results.rglob(".*") if ".submitit" not in p.parts]
    paths = results.glob("runs/*/summary.json")
    return {path.parent.name: json.loads(path.read_text()) for path in paths}


def scores(summary: dict) -> list[float]:
    return [summary[key] for key in ("float_top1", "float_top5", "top1", "top5")]


def test_joblib_gives_the_same_numbers_and_trains_the_shared_baseline_once(tmp_path):
    alone, parallel = tmp_path / "alone", tmp_path / "parallel"
    one = [run(configuration(alone, *LOG2, f"bits={bits}")) for bits in (3, 4)]
    two = call(parallel, *JOBLIB, *LOG2, "bits=3,4,1")
    assert two.returncode == 1  # of one bit nothing is left for a sign
    assert "2 done, 1 failed" in two.stdout
    found = summaries(parallel)
    assert {x["name"]: scores(x) for x in one} == {k: scores(x) for k, x in found.items()}
    logs = [path.read_text() for path in parallel.glob("runs/*/run.log")]
    assert sum("float baseline: float, epoch 1/1" in log for log in logs) == 1
    assert sum("failed" in log for log in logs) == 1
    assert len(list(parallel.glob("baselines/*/baseline.json"))) == 1


def test_a_run_that_another_process_computes_is_waited_for(tmp_path, caplog):
    cfg = configuration(tmp_path, *LOG2)
    expected = run(cfg)
    finished = tmp_path / "runs" / cfg.name / "summary.json"
    away = finished.rename(tmp_path / "away")  # as if it were still computed
    with (finished.parent / "lock").open("w") as lock, caplog.at_level(logging.INFO, "dyadic"):
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = []
        second = threading.Thread(target=lambda: found.append(run(cfg)))
        second.start()
        while "waiting for another process" not in caplog.text:
            second.join(0.01)
        assert not found
        away.rename(finished)
        fcntl.flock(lock, fcntl.LOCK_UN)
        second.join()
    assert found == [expected]
    assert "already finished" in caplog.text


@pytest.mark.slow
def test_a_terminated_sweep_takes_its_workers_with_it(tmp_path):
    choices = (*JOBLIB, *LOG2, "bits=3,4", "trainer.baseline.epochs=1000")
    sweep = subprocess.Popen(command(tmp_path, *choices), cwd=ROOT, stderr=subprocess.DEVNULL)
    while not (histories := list(tmp_path.glob("baselines/*/history.csv"))):
        assert sweep.poll() is None
        time.sleep(0.05)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait() == 143
    rows = histories[0].read_text()
    time.sleep(5)  # an epoch takes a tenth of that
    assert histories[0].read_text() == rows
    assert not list(tmp_path.glob(".sweep-*"))


@pytest.mark.slow
def test_submitit_runs_jobs_as_processes_of_their_own(tmp_path):
    found = call(tmp_path, "-m", "hydra/launcher=submitit_local", *LOG2, "bits=4,1")
    assert found.returncode == 1
    assert "1 done, 1 failed" in found.stdout
    (name,) = summaries(tmp_path)
    assert (tmp_path / "runs" / name / "run.log").exists()


def commands_of_the_readme() -> list[list[str]]:
    """What the README says about several runs and devices, as lists of choices."""
    section = (ROOT / "README.md").read_text().split("## Many runs")[1].split("\n## ")[0]
    lines = re.findall(r"^    python run\.py (.*)$", section.replace("\\\n", " "), re.MULTILINE)
    return [line.split("#")[0].split() for line in lines]


def test_every_command_of_the_readme_composes():
    launchers = []
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for choices in commands_of_the_readme():
            one_each = [choice.split(",")[0] for choice in choices if choice != "-m"]
            cfg = compose("config", one_each, return_hydra_config=True)
            launchers.append(cfg.hydra.launcher._target_.rsplit(".", 1)[-1])
            tasks = cfg.hydra.launcher.get("tasks_per_node", 1)
            assert launchers[-1] != "SlurmLauncher" or tasks == cfg.trainer.hardware.devices
    assert launchers.count("SlurmLauncher") == 2
    assert "JoblibLauncher" in launchers


@pytest.mark.slow
def test_processes_that_slurm_starts_leave_one_record(tmp_path):
    job = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "dyadic", "SLURM_NTASKS": "2"}
    job |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NODEID": "0", "SLURM_NODELIST": "127.0.0.1"}
    job |= {"MASTER_ADDR": "127.0.0.1"}
    tasks = [
        subprocess.Popen(
            command(tmp_path, *INQ, *DDP),
            cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | job | {"SLURM_PROCID": rank, "SLURM_LOCALID": rank},
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    assert [task.wait() for task in tasks] == [0, 0]
    (found,) = summaries(tmp_path).values()
    assert found["hardware"].startswith("2 x ")


def test_two_processes_train_one_network_and_leave_one_record(tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    one = run(configuration(alone, *INQ, *LEARNABLE))
    found = call(both, *INQ, *LEARNABLE, *DDP)
    assert found.returncode == 0, found.stderr
    (two,) = summaries(both).values()
    assert two["hardware"] == f"2 x {one['hardware']}"
    for key in ("float_top1", "top1"):
        assert one[key] > 90
        assert two[key] > 90
    assert two["epochs"] == one["epochs"]
    (history,) = both.glob("runs/*/history.csv")
    assert len(history.read_text().splitlines()) == 1 + two["epochs"]["quantize"]


@pytest.mark.slow
def test_layers_that_a_schedule_leaves_untrained_do_not_stop_several_processes(tmp_path):
    found = call(tmp_path, "-m", "method=hawq_v3,bottom_up", "deploy=none", *DDP)
    assert "2 done, 0 failed" in found.stdout, found.stdout + found.stderr


@pytest.mark.slow
def test_a_sweep_of_runs_on_two_processes_keeps_in_step_and_resumes(tmp_path):
    choices = ("-m", *INQ, *DDP, "bits=4,1,5")
    first = call(tmp_path, *choices)
    assert first.returncode == 1
    assert first.stdout.count("2 done, 1 failed") == 1
    before = summaries(tmp_path)
    assert len(before) == 2
    (gone,) = tmp_path.glob("runs/*-b5-*/summary.json")
    gone.unlink()
    assert "2 done, 1 failed" in call(tmp_path, *choices).stdout
    after = summaries(tmp_path)
    assert {k: scores(x) for k, x in after.items()} == {k: scores(x) for k, x in before.items()}


@pytest.mark.slow
def test_several_devices_need_a_launcher_that_can_start_them(tmp_path):
    found = call(tmp_path, *JOBLIB, *LOG2, "bits=4", *DDP)
    assert found.returncode == 1
    assert "use one device a run" in found.stdout
