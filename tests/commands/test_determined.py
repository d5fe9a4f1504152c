"""What determines a float network, and what does not."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.runs import configuration

from dyadic.commands.build import build
from dyadic.commands.run import composed
from dyadic.record.identity import baseline_digest

NETWORK = """
from blocks import head
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        pool = nn.AdaptiveAvgPool2d(1)
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), pool, nn.Flatten(), head())
"""


def key(tmp_path: Path, *choices: str) -> str:
    cfg = configuration(tmp_path, *choices)
    return baseline_digest(build(cfg, tmp_path).baseline_determined_by)


@pytest.mark.parametrize(
    ("choice", "matters"),
    [
        ("trainer.baseline.epochs=2", True),
        ("seed=1", True),
        ("model.width=4", True),
        ("dataset.source.noise=0.4", True),
        ("dataset.train_share=0.5", True),
        ("trainer.hardware.threads=2", True),
        ("bits=3", False),
        ("method=log2", False),
        ("epochs=8", False),
        ("deploy=none", False),
        ("trainer.optimizer.lr=0.5", False),
    ],
)
def test_a_trained_network_depends_on_how_and_on_nothing_after_it(tmp_path, choice, matters):
    start = ("method=inq", "start=train")
    assert (key(tmp_path, *start) != key(tmp_path, *start, choice)) == matters


def test_a_loaded_network_does_not_depend_on_a_recipe(tmp_path):
    model = build(configuration(tmp_path, "start=train"), tmp_path).model()
    torch.save(model.get_submodule("body").state_dict(), tmp_path / "a.pt")
    start = ("start=own", f"start.weights={tmp_path / 'a.pt'}")
    first = key(tmp_path, *start)
    assert first != key(tmp_path, "start=train")
    assert first == key(tmp_path, *start, "trainer.baseline.epochs=9")
    state = model.get_submodule("body").state_dict()
    torch.save({k: v + 1 for k, v in state.items()}, tmp_path / "a.pt")
    assert first != key(tmp_path, *start)


@pytest.fixture
def hers(tmp_path: Path) -> Iterator[Path]:
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "hernetwork.py").write_text(NETWORK)
    (tmp_path / "blocks.py").write_text(
        "from torch.nn import Linear\nhead = lambda: Linear(4, 2)\n"
    )
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            pixels = np.full((9, 9, 3), 40 * number, np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_an_edited_network_and_changed_pictures_are_another_float_network(hers):
    choices = ["model=own", "model.factory=hernetwork:Net", "dataset=folder"]
    choices += ["dataset.folder=photos", "dataset.image_size=8", "logger=none", "start=train"]

    def digest(*more: str) -> str:
        cfg = composed([*choices, *more])
        return baseline_digest(build(cfg, hers).baseline_determined_by)

    found = [digest()]
    assert digest("dataset.workers=0") == found[0]
    (hers / "blocks.py").write_text((hers / "blocks.py").read_text() + "# edited\n")
    found.append(digest())
    os.utime(hers / "photos" / "cat" / "0.png", ns=(7, 7))
    found.append(digest())
    assert len(set(found)) == 3
