"""Other people's machines: no home, no compiler, a queue's leavings, a closed pipe, Ctrl-C."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tests.runs import ROOT, call, command
from tests.runs import configuration as tiny

from dyadic.commands.build import run
from dyadic.commands.folder import folder_name, run_folder
from dyadic.commands.run import _clear_if_dead
from dyadic.errors import UserError
from dyadic.record.show import finished, print_finished
from dyadic.training.hardware import keep_memory

LOG2 = ("method=log2", "start=train")
STRAY = {"RANK": "1", "LOCAL_RANK": "1", "SLURM_PROCID": "1", "SLURM_NTASKS": "4"}
STRAY |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "x", "SLURM_NTASKS_PER_NODE": "4"}
NOWHERE = {"HOME": "/proc/none", "XDG_CACHE_HOME": "", "DYADIC_CACHE": "", "CC": "/bin/false"}


def test_without_home_or_compiler_and_with_a_queues_leavings_a_run_is_whole(tmp_path):
    done = call(tmp_path, *LOG2, **STRAY, **NOWHERE)
    assert done.returncode == 0, done.stderr
    (directory,) = (tmp_path / "runs").iterdir()
    summary = finished(directory)
    assert summary is not None
    assert summary["integer"]["engines"] == ["reference", "onnx"]
    assert "no compiled engine: /bin/false" in summary["integer"]["missing"][0]
    assert done.stdout.index("no compiled engine") < done.stdout.index("float baseline: ")
    assert not (directory / "error.txt").exists()


def test_a_name_that_is_a_path_is_refused_before_anything_is_written(tmp_path):
    done = call(tmp_path / "results", *LOG2, "name=../../x", HYDRA_FULL_ERROR="0")
    assert done.returncode == 2
    assert done.stderr == (
        "error: name='../../x'; a run's name is one folder's: no slash, no leading dot\n"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/x", "a\nb", "-x", "~", "x" * 300])
def test_a_name_is_one_folders(name):
    with pytest.raises(UserError, match="name"):
        folder_name(name)


def test_what_is_on_disk_is_believed_for_the_same_choices_alone(tmp_path):
    choices = ("method=log2", "start=train", "deploy=none", "name=mine")
    first = run(tiny(tmp_path, *choices, "bits=4"))
    assert run(tiny(tmp_path, *choices, "bits=4", "logger=none")) == first
    with pytest.raises(UserError, match=r"holds another run: .*4, not 3; choose another name"):
        run(tiny(tmp_path, *choices, "bits=3"))
    (tmp_path / "runs" / "mine" / "summary.json").unlink()  # as if it had been killed
    with pytest.raises(UserError, match="holds another run"):
        run(tiny(tmp_path, *choices, "bits=3"))
    assert run(tiny(tmp_path, *choices, "bits=3", "force=true"))["bits"] == 3


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"name": "x", "float_top1": "a"}'])
def test_a_damaged_summary_is_one_line(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match=r"damaged .*force=true") as refused:
        print_finished(finished(tmp_path) or {}, tmp_path)
    assert "\n" not in str(refused.value)


def test_a_damaged_config_is_one_line(tmp_path):
    cfg = tiny(tmp_path, *LOG2)
    directory = run_folder(cfg)
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text("dataset: {")
    with pytest.raises(UserError, match=r"damaged .*force=true"):
        run_folder(cfg)


def test_a_failed_run_keeps_its_reason_and_loses_it_when_it_goes_well(tmp_path):
    failing = ("method=log2", "bits=1", "name=mine", "deploy=none")
    assert call(tmp_path, *failing).returncode == 2
    path = tmp_path / "runs" / "mine" / "error.txt"
    assert "it takes 2 to 8 bits" in path.read_text()
    assert path.read_text().count("\n") == 1
    assert call(tmp_path, *failing[2:], "method=log2", "start=train").returncode == 0
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_ctrl_c_is_one_line_with_the_command_that_goes_on(tmp_path, number):
    process = subprocess.Popen(
        command(tmp_path, *LOG2, "trainer.baseline.epochs=500"), cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not list(tmp_path.glob("baselines/*/history.csv")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 130
    assert said.startswith("interrupted; this goes on from the last epoch: python ")
    assert "method=log2" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [("-m", "dyadic", "list"), ("run.py", "--cfg", "job")])
def test_a_pipe_that_is_closed_ends_without_a_traceback(words):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as output:
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, stdout=output, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_killed_sweeps_folder_is_cleared_and_a_living_ones_is_not(tmp_path):
    dead, living = tmp_path / ".sweep-dead", tmp_path / ".sweep-living"
    dead.mkdir()
    living.mkdir()
    holds = "import sys, filelock as f; x = f.FileLock(sys.argv[1]); x.acquire(); print(); input()"
    other = subprocess.Popen(
        [sys.executable, "-uc", holds, str(living / "alive")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    other.stdout.readline()
    for folder in (dead, living):
        _clear_if_dead(folder)
    assert [path.name for path in tmp_path.iterdir()] == [".sweep-living"]
    other.communicate(b"\n")
    _clear_if_dead(living)
    assert not living.exists()


FOREIGN = """
import builtins, importlib, pathlib
HIDDEN = {"fcntl", "resource", "pwd", "grp", "termios"}
real = builtins.__import__
def hiding(name, globals=None, *rest):
    if name in HIDDEN and str((globals or {}).get("__name__", "")).startswith("dyadic"):
        raise ImportError(name)
    return real(name, globals, *rest)
builtins.__import__ = hiding
exists = pathlib.Path.exists
pathlib.Path.exists = lambda self: not str(self).startswith("/proc") and exists(self)
import dyadic
root = pathlib.Path(dyadic.__file__).parent
files = [path.relative_to(root).with_suffix("").parts for path in root.rglob("*.py")]
names = [".".join(("dyadic", *parts)) for parts in files if not parts[-1].startswith("__")]
for name in names:
    importlib.import_module(name)
from dyadic.training.hardware import Hardware
print(len(names), Hardware().resolved_precision, Hardware().describe())
"""


def test_every_module_imports_where_linuxs_own_are_missing():
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    count, precision, *_ = done.stdout.split()
    assert int(count) > 100
    assert precision == "32-true"


@pytest.mark.parametrize("error", [TypeError, OSError, AttributeError])
def test_memory_is_left_to_itself_where_there_is_no_glibc(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr("dyadic.training.hardware.ctypes.CDLL", missing)
    keep_memory()
