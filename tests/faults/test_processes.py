"""Kills, full disks, other users and bare machines: `make test-faults`."""

import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.runs import ROOT, command

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
INQ = ("method=inq", "schedule.portions=[0.5,1.0]", "schedule.after=1", "start=train")
CHOICES = (*INQ, "trainer.baseline.epochs=3", "name=mine")
KILLS, DISKS, NOBODY = 20, 7, 65534


def call(results: Path, *choices: str, by: tuple = (), **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*by, *command(results, *choices), *choices], cwd=ROOT, capture_output=True, text=True,
        check=False, **more,
    )  # fmt: skip


def outcome(results: Path) -> tuple[dict, dict]:
    """Scores and the last weights of the one run."""
    summary = json.loads((results / "runs" / "mine" / "summary.json").read_text())
    last = torch.load(results / "runs" / "mine" / "checkpoint" / "last.ckpt", weights_only=True)
    return {k: summary[k] for k in ("float_top1", "top1", "integer")}, last["state_dict"]


def same(a: tuple[dict, dict], b: tuple[dict, dict]) -> bool:
    return a[0] == b[0] and all(torch.equal(v, b[1][k]) for k, v in a[1].items())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[dict, dict], float]:
    """What a run that nothing disturbs leaves, and its seconds."""
    results, started = tmp_path_factory.mktemp("whole"), time.monotonic()
    done = call(results, *CHOICES)
    assert done.returncode == 0, done.stderr
    return outcome(results), time.monotonic() - started


def test_killed_at_any_moment_a_run_ends_as_one_that_was_not(tmp_path, whole, tell):
    expected, seconds = whole
    draw, failures, kills, results = random.Random(0), [], 0, tmp_path / "0"
    while kills < KILLS:
        started, anew = time.monotonic(), not results.exists()
        process = subprocess.Popen(
            [*command(results, *CHOICES), *CHOICES], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(draw.uniform(0.1, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
        else:  # the first run may have compiled an engine, and taken longer than any other
            seconds = min(seconds, time.monotonic() - started) if anew else seconds
        if process.returncode == 0 or kills == KILLS:
            done = call(results, *CHOICES)
            left = [p for p in results.rglob(".*") if p.suffix[1:].isdecimal()]
            if done.returncode or left or not same(outcome(results), expected):
                failures.append(f"{results}: {done.stderr} {left}")
            results = tmp_path / str(kills)
        elif process.returncode > 0:
            failures.append(f"{results}: exit code {process.returncode}")
            results = tmp_path / str(kills)
    tell("SIGKILL at a random moment", kills, failures)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which `mount -o remount,size=` makes larger."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_line_and_got_over_once_there_is_room(disk, whole, tell):
    if os.geteuid():
        pytest.fail("only root can mount a small disk: run the fault campaign as root")
    expected, _ = whole
    draw, failures = random.Random(1), []
    for case in range(DISKS):
        kibibytes = round(4 * 300 ** draw.uniform(0.3, 1.0))
        shutil.rmtree(disk / "results", ignore_errors=True)
        subprocess.run(["mount", "-o", f"remount,size={kibibytes}k", str(disk)], check=True)
        full = call(disk / "results", *CHOICES)
        one_line = full.returncode == 2 and full.stderr.count("\n") == 1
        if full.returncode and not (one_line and "make room" in full.stderr):
            failures.append(f"{case}, {kibibytes} KiB: {full.returncode} {full.stderr[-300:]}")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = call(disk / "results", *CHOICES)
        if again.returncode or not same(outcome(disk / "results"), expected):
            failures.append(f"{case}, {kibibytes} KiB, then room: {again.stderr[-300:]}")
    tell("disk full, then room", DISKS, failures)


def test_two_users_share_a_folder(tell):
    if os.geteuid():
        pytest.fail("only root can be another user: run the fault campaign as root")
    shared, failures = Path(tempfile.mkdtemp()), []
    shared.chmod(0o777)
    other = {
        "by": ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
        "umask": 0o022,
    }
    home = {"env": os.environ | {"HOME": "/proc/none"}}
    try:
        results = shared / "results"
        first = call(results, *CHOICES, umask=0o022)
        again = call(results, *CHOICES, **other, **home)
        if first.returncode or again.returncode or "top-1" not in again.stdout:
            failures.append(f"a finished run is not read: {again.stderr}")
        (results / "runs").chmod(0o777)
        own = ("method=log2", "start=train", "trainer.baseline.epochs=3", "name=another")
        new = call(results, *own, "deploy=none", **other, **home)
        if new.returncode:
            failures.append(f"a finished baseline is not read: {new.stderr}")
        (results / "runs" / "mine" / "summary.json").unlink()
        locked = call(results, *CHOICES, **other, **home)
        path = str(results / "runs" / "mine" / "lock")
        # Without a home ONNX Runtime warns, once, that it keeps no identifier of its own.
        said = [line for line in locked.stderr.splitlines() if "onnxruntime" not in line]
        if locked.returncode != 2 or len(said) != 1 or not said[0].startswith(f"error: {path} "):
            failures.append(f"an unfinished run of another: {locked.stderr}")
    finally:
        shutil.rmtree(shared)
    tell("two users, one folder", 3, failures)


MACHINES = {
    "no home": {"HOME": "/proc/none"},
    "a home that is a file": {"HOME": "/dev/null"},
    "a compiler that fails": {"CC": "/bin/false", "DYADIC_CACHE": "/proc/none"},
    "a compiler that is not there": {"CC": "nocc"},
    "stray RANK": {"RANK": "1", "WORLD_SIZE": "2"},
    "stray SLURM": {"SLURM_PROCID": "1", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"},
}


def test_bare_and_untidy_machines_run_the_same(tmp_path, whole, tell):
    expected, _ = whole
    failures = []
    for number, (what, variables) in enumerate(MACHINES.items()):
        results = tmp_path / str(number)
        done = call(results, *CHOICES, env=os.environ | variables)
        if done.returncode:
            failures.append(f"{what}: {done.stderr[-300:]}")
            continue
        scores, weights = outcome(results)
        for key in ("engines", "missing"):  # without a compiler there are fewer
            scores["integer"][key] = expected[0]["integer"][key]
        if not same((scores, weights), expected):
            failures.append(f"{what}: other numbers")
    tell("no home, no compiler, stray variables", len(MACHINES), failures)
