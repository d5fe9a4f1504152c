"""The wheel, installed into an environment of its own and used from an empty folder."""

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tests.runs import TINY

SCRIPT = """
import json, torch, torchvision
from torch import nn
import dyadic

torch.manual_seed(0)
images = torch.randint(0, 256, (8, 3, {pixels}, {pixels}), dtype=torch.uint8)
model = {model}
network = dyadic.quantize(model, images, weight=dyadic.PowerOfTwo(5),
                          activation=dyadic.Uniform(8), mean=(0.485, 0.456, 0.406),
                          std=(0.229, 0.224, 0.225))
program = dyadic.lower(network)
report = dyadic.check(network, program, images)
logits = program.run(images)
program.save("out"), program.export_c("out/c"), program.export_onnx("out/net.onnx")
same = bool((dyadic.load("out").run(images) == logits).all())
print(json.dumps([report.passed, same, dyadic.__file__]))
"""
MODELS = {
    "nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))": 16,
    "torchvision.models.resnet18(weights=None)": 64,
}


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """The folder of programs of an environment that sees this one's packages, but for dyadic."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        env=_clean(),
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    # Appended, and not treated as a folder of packages: links in it to other trees are not read.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    return folder / "bin"


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def call(folder: Path, *arguments: str | Path) -> str:
    found = subprocess.run(
        arguments, cwd=folder, env=_clean(), capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_wheel_has_choices_published_tables_types_and_the_licence(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "dyadic/conf/config.yaml",
        "dyadic/published/inq.csv",
        "dyadic/py.typed",
        "dyadic/integer/engines/compiled/c/dyadic_kernels.c",
    } <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any("safetensors" in name or "__pycache__" in name for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_the_library_runs_from_an_empty_folder(environment, tmp_path, model):
    script = SCRIPT.format(model=model, pixels=MODELS[model])
    printed = call(tmp_path, environment / "python", "-c", script)
    passed, same, place = json.loads(printed.splitlines()[-1])
    assert passed
    assert same
    assert Path(place).is_relative_to(environment.parent)


@pytest.mark.slow
def test_a_run_starts_from_an_empty_folder(environment, tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # of somebody else
    call(tmp_path, environment / "dyadic-run", "method=uniform_ptq", *TINY)
    (record,) = tmp_path.glob("results/runs/*/summary.json")
    summary = json.loads(record.read_text())
    assert summary["integer"]["mismatched_logits"] == 0
    assert summary["versions"]["git"] == ""
    assert "passed" in call(tmp_path, environment / "dyadic", "check", str(record.parent))
    assert "inq" in call(tmp_path, environment / "dyadic", "list")


ENGINE = """
import numpy as np
from dyadic.integer.engines.compiled import CompiledEngine, available_paths, build
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Flatten, Linear, Program, Weights

weights = Weights(np.arange(80, dtype=np.uint8).reshape(5, 16), np.arange(-128, 128), 8)
linear = Linear("logits", ("flat",), weights, np.arange(5), dyadic(0.01), -999, 999)
program = Program("p", (16, 1, 1), (Flatten("flat", ("input",)), linear), 1.0)
images = np.random.default_rng(0).integers(0, 256, (9, 16, 1, 1), np.uint8)
for path in available_paths():
    assert build.library(path).parent == build.PACKAGED, path
    made = CompiledEngine(program, path=path).run(images)
    assert np.array_equal(made, ReferenceEngine(program).run(images)), path
print("equal")
"""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_wheel_with_libraries_needs_no_compiler(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("DYADIC_BUILD", "1")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=repository, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stem.split("-")[2:4] == ["py3", "none"]
    assert wheel.stem.split("-")[4] != "any"
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "installed"))
    monkeypatch.setenv("CC", "/bin/false")
    command = [sys.executable, "-P", "-c", ENGINE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "equal\n", done.stderr
