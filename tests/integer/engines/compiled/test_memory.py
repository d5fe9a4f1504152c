"""No engine reads or writes beyond what is its own, and places beyond 2^31 are right.

The programs run in processes of their own, in a build whose tensors end at guard pages.
"""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from tests.integer.engines.compiled.guarded import classifier
from tests.integer.engines.compiled.test_layers import CONVOLUTIONS
from tests.integer.random_programs import random_images

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.engines.compiled import plan as planning
from dyadic.integer.engines.compiled.layout import Layout, plan
from dyadic.integer.engines.reference import ReferenceEngine

CLASSES = (2, 10, 16, 17, 20, 33, 48, 50, 64, 100, 200, 1000)
ROOT = Path(__file__).parents[4]
SIZES = (28, 32, 48, 64, 96, 128, 224)


def run_guarded(*cases) -> None:
    """All cases in one fresh process; its last line says which one it was in."""
    command = [sys.executable, "-m", "tests.integer.engines.compiled.guarded", json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    last = (done.stdout.splitlines() or [""])[-1]
    assert done.returncode == 0, f"exit code {done.returncode} after {last!r}: {done.stderr[-500:]}"


def test_fully_connected_layers_read_their_images_alone():
    run_guarded(*(["classifier", {"size": 5, "classes": c}, n] for c in CLASSES for n in (1, 3, 6)))


def test_convolutions_read_their_tensors_alone():
    run_guarded(*(["convolution", kind, 2] for kind in CONVOLUTIONS.values()))


def test_random_programs_read_their_tensors_alone():
    run_guarded(*(["random", {"seed": seed}, 2] for seed in range(40)))


def test_one_image_of_every_size():
    run_guarded(*(["resnet20", {"size": size}, 1] for size in (28, 64, 96)))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("classes", CLASSES)
def test_classifiers_of_every_size(size, classes):
    run_guarded(*(["classifier", {"size": size, "classes": classes}, n] for n in range(1, 10)))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_networks_of_every_size(size):
    run_guarded(*(["resnet20", {"size": size}, images] for images in range(1, 10)))


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [3, 16, 20, 36, 64, 100])
def test_convolutions_of_every_size(outputs):
    layer = {"channels": [5, outputs], "padding": [1, 1]}
    kinds = product(SIZES, ([0, 255], [-128, 127], [-5000, 5000]))
    run_guarded(*(["convolution", layer | {"size": [s, s], "codes": c}, 1] for s, c in kinds))


@pytest.mark.parametrize("path", available_paths())
def test_images_that_are_far_apart(monkeypatch, path):
    """2^29 bytes from an image to the next; nearly all of them are never touched."""

    def apart(*arguments, **options) -> Layout:
        made = plan(*arguments, **options)
        return Layout(made.slots, 2**29, made.slack)

    monkeypatch.setattr(planning, "plan", apart)
    program = classifier(1, 20)
    images = random_images(program, 8)
    made = CompiledEngine(program, threads=1, path=path).run(images)
    assert np.array_equal(made, ReferenceEngine(program).run(images))
