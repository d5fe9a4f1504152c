"""The README's method: its two files, as printed, in a copy of the project, by its commands."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.runs import ENGINES, TINY

from dyadic.integer.program.files import load_proof

BLOCK = re.compile(r"```(?:python|yaml)\n# (\S+/threes\.\w+)\n(.*?)```", re.DOTALL)
CACHES = shutil.ignore_patterns("__pycache__")
COMMAND = re.compile(r"^    python run\.py (.*quantizer/weight=threes.*?) +#", re.MULTILINE)


@pytest.fixture(scope="module")
def readme(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "README.md").read_text()


@pytest.fixture(scope="module")
def project(readme, request, tmp_path_factory) -> Path:
    """A copy of what a run needs, and the two new files where the README puts them."""
    root, copy = request.config.rootpath, tmp_path_factory.mktemp("project")
    for part in ("src", "conf"):
        shutil.copytree(root / part, copy / part, symlinks=True, ignore=CACHES)
    shutil.copy(root / "run.py", copy)
    blocks = BLOCK.findall(readme)
    assert [Path(name).suffix for name, _ in blocks] == [".py", ".yaml"]
    for name, text in blocks:
        assert not (copy / name).exists()
        (copy / name).write_text(text)
    return copy


def call(project: Path, *arguments: str) -> str:
    """Python in the copy, whose modules come before the installed ones."""
    found = subprocess.run(
        [sys.executable, *arguments], cwd=project, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(project / "src")},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_it_is_listed_without_being_registered(project):
    lines = call(project, "-m", "dyadic", "list").splitlines()
    (line,) = [line for line in lines if line.split()[:1] == ["threes"]]
    assert line.split(maxsplit=1)[1].startswith("Zero and +-3^k")


@pytest.mark.parametrize("which", [0, 1])
def test_it_trains_under_two_schedules_and_its_integers_are_equal(project, readme, which):
    choices = COMMAND.findall(readme)[which].split()
    call(project, "run.py", *choices, *TINY, f"results_dir={project / str(which)}")
    (directory,) = project.glob(f"{which}/runs/*")
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["quantizer"]["weight"] == "Threes"
    integer = summary["integer"]
    assert integer["mismatched_logits"] == integer["mismatched_vs_float64"] == 0
    assert integer["engines"] == ENGINES
    with (directory / "layers.csv").open() as file:
        assert {row["levels"] for row in csv.DictReader(file)} == {"15"}
    with (directory / "history.csv").open() as file:
        assert float(list(csv.DictReader(file))[-1]["quantized_share"]) == 1
    for operation in load_proof(directory).program.operations:
        if hasattr(operation, "weights"):
            powers = 3 ** np.arange(7)
            assert np.array_equal(operation.weights.levels, [*-powers[::-1], 0, *powers])


def test_the_two_schedules_are_different(readme):
    first, second = COMMAND.findall(readme)
    assert first.split()[0] != second.split()[0]
