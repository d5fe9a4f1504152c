"""The networks that the repository ships: each is made once, and its record is of its file."""

import hashlib
import json
import re
from pathlib import Path
from statistics import fmean

import pytest
import torch
from experiments.networks import CANDIDATES, NETWORKS, ROOT, choose, configuration, page, ship
from safetensors.torch import load_file
from tests.runs import TINY

from dyadic.commands.build import build

CHOICES = [choice for choice in TINY if choice != "model=resnet8"]
SHIPPED = sorted((ROOT / "results" / "networks").glob("*.safetensors"))


def test_a_network_is_trained_once_and_its_file_is_the_model_s_state(tmp_path: Path) -> None:
    record = ship("resnet8", 0, CHOICES, tmp_path)
    facts = json.loads(record.read_text())
    weights = record.with_suffix(".safetensors")
    assert facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {"dataset", "model", "seed", "recipe", "hardware", "epochs", "top1", "top5"} <= set(
        facts
    )
    model = build(configuration("resnet8", *CHOICES, results=tmp_path), tmp_path).model()
    model.get_submodule("body").load_state_dict(load_file(weights))
    before = weights.stat().st_mtime_ns
    assert ship("resnet8", 0, CHOICES, tmp_path) == record
    assert weights.stat().st_mtime_ns == before


def test_recipes_are_compared_on_held_out_images_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("experiments.networks.HELD_OUT", 32)
    monkeypatch.setattr("dyadic.data.InMemory.test_batches", lambda self: iter(()))
    row = choose([*CHOICES, "trainer.baseline.epochs=1"], tmp_path)
    assert 0 <= row["held_out_top1"] <= 100


def test_every_recipe_and_network_composes(tmp_path: Path) -> None:
    for candidate in CANDIDATES:
        configuration("resnet8", *candidate, results=tmp_path)
    for network in NETWORKS:
        assert configuration(network.model, *network.choices, results=tmp_path).model.name


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_file_is_the_one_that_its_record_names(weights: Path) -> None:
    facts = json.loads(weights.with_suffix(".json").read_text())
    assert facts["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    name = f"{facts['dataset']}-{facts['model']}-s{facts['seed']}"
    assert weights.stem == name
    assert all(torch.isfinite(value.float()).all() for value in load_file(weights).values())


def test_the_page_of_networks_is_that_of_the_records(tmp_path: Path) -> None:
    folder = ROOT / "results" / "networks"
    assert (folder / "README.md").read_text() == page(folder)
    for seed, top1 in ((10, 90.0), (2, 91.5)):
        facts = {"dataset": "shapes", "model": "m", "seed": seed, "epochs": 3, "hardware": "CPU"}
        facts |= {"arguments": {"name": "m", "width": 4}, "top1": top1, "top5": 99.0}
        (tmp_path / f"{seed}.json").write_text(json.dumps(facts))
    row = page(tmp_path).splitlines()[-1]
    expected = "shapes, `model=m model.width=4` | 2, 10 | 3 | 90.75 | 91.50 90.00 | 99.00 | CPU"
    assert row == f"| {expected} |"


@pytest.mark.parametrize(
    ("model", "name", "least"),
    [
        ("resnet20", "ResNet-20", 93.3),
        ("resnet8", "ResNet-8", 91.5),
        ("small_inception", "small Inception", 93.0),
        ("resnet18", "ResNet-18", 93.5),
    ],
)
def test_shipped_networks_are_as_good_as_the_referee_s_list_says(
    model: str, name: str, least: float
) -> None:
    records = (
        path.with_suffix(".json").read_text() for path in SHIPPED if f"-{model}-" in path.stem
    )
    mean = fmean(json.loads(record)["top1"] for record in records)
    assert mean >= least
    text = (ROOT / "experiments" / "README.md").read_text()
    assert re.search(rf"{name}\b[^;|]* at {least:g} %[^;|]*: {mean:.2f}\b", text)
