"""The page on own networks: its files, as printed, in an empty folder, by its commands."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BLOCK = re.compile(r"```python\n# (\S+\.py)\n(.*?)```", re.DOTALL)
INSPECT = re.compile(r"^    dyadic inspect (.*)$", re.MULTILINE)
RUN = re.compile(r"^    dyadic-run (.*)$", re.MULTILINE)
MAKE = re.compile(r"^    cd (results/runs/\S+) && make$", re.MULTILINE)
FAST = ["trainer.hardware.threads=1", "trainer.hardware.precision=32-true", "dataset.workers=0"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # four runs on a machine that is busy


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest) -> str:
    return (request.config.rootpath / "docs" / "own_network.md").read_text()


@pytest.fixture(scope="module")
def folder(page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page's two files, her weights and 180 pictures; nothing of this project."""
    place = tmp_path_factory.mktemp("hers")
    for name, text in BLOCK.findall(page):
        (place / name).write_text(text)
    random = np.random.default_rng(0)
    for channel, label in enumerate(("cat", "dog", "owl")):
        for part, count in (("train", 48), ("val", 12)):
            (place / "photos" / part / label).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 120, (40 + number % 5, 52, 3))
                pixels[..., channel] += 100
                path = place / "photos" / part / label / f"{number}.png"
                Image.fromarray(pixels.astype(np.uint8)).save(path)
    call(place, "save.py")
    return place


def call(place: Path, *arguments: str) -> str:
    found = subprocess.run(
        [sys.executable, *arguments], cwd=place, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(place), *sys.path])},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def summaries(page: str, folder: Path, repository: Path) -> list[dict]:
    """Of the page's runs, in its order."""
    before: set[Path] = set()
    found = []
    for line in RUN.findall(page):
        call(folder, str(repository / "run.py"), *shlex.split(line), *FAST, "logger=none")
        (new,) = set(folder.glob("results/*/*/summary.json")) - before
        before.add(new)
        found.append(json.loads(new.read_text()))
    return found


def test_the_trial_and_the_run_are_proved(summaries: list[dict]) -> None:
    trial, run = summaries
    assert (trial["status"], run["status"]) == ("trial", "done")
    assert trial["start"] == "trained here"
    assert run["start"] == "mynet.safetensors"
    assert run["dataset"] == "photos"
    assert run["model"] == "Net"
    assert run["classes"] == ["cat", "dog", "owl"]
    assert run["normalization"] == {"mean": [0.36] * 3, "std": [0.21] * 3}
    assert trial["normalization"]["mean"] != run["normalization"]["mean"]
    for summary in summaries:
        integer = summary["integer"]
        assert integer["mismatched_logits"] == integer["mismatched_vs_float64"] == 0
    assert run["integer"]["images"] == 36
    assert run["top1"] > 50  # of three classes, in four short epochs


def test_every_operation_is_listed_with_its_form(page: str, folder: Path) -> None:
    (line,) = INSPECT.findall(page)
    said = call(folder, "-m", "dyadic", "inspect", *shlex.split(line), *FAST)
    assert re.search(r"^conv1 +Conv2d ", said, re.MULTILINE)
    assert "everything has an integer form" in said


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_its_c_sources_are_built(page: str, folder: Path, summaries: list[dict]) -> None:
    (pattern,) = MAKE.findall(page)
    (place,) = folder.glob(pattern)
    before = {path.name for path in place.iterdir()}
    subprocess.run(["make"], cwd=place, check=True, capture_output=True)
    assert {path.name for path in place.iterdir()} - before


def test_an_edited_network_other_weights_or_pictures_are_another_run(
    page: str, folder: Path, repository: Path, summaries: list[dict]
) -> None:
    line = shlex.split(RUN.findall(page)[1])

    def name() -> str:
        shown = call(folder, str(repository / "run.py"), *line, *FAST, "--cfg", "job", "--resolve")
        return re.findall(r"^name: (.*)$", shown, re.MULTILINE)[0]

    names = [name()]
    (folder / "mynet.py").write_text((folder / "mynet.py").read_text() + "\n# edited\n")
    names.append(name())
    (folder / "photos" / "train" / "cat" / "0.png").unlink()
    names.append(name())
    weights = folder / "mynet.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x00\x01")
    names.append(name())
    assert len(set(names)) == 4
