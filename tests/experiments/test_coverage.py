"""The table of torchvision's networks, on networks that take a second."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from dyadic.report.command import marks
from experiments import coverage


def tiny(name: str, weights: None) -> nn.Module:
    """A network that has an integer form, or one whose norm has none."""
    norm = nn.BatchNorm2d(4) if name == "plain" else nn.GroupNorm(2, 4)
    head = (nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), norm, *head)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    monkeypatch.setattr(coverage, "get_model", tiny)
    monkeypatch.setattr(coverage, "IMAGES", 8)
    names = ("plain", "other")
    monkeypatch.setattr(coverage, "NETWORKS", names)
    return [coverage.measure(name, method) for name in names for method in coverage.METHODS]


def test_a_row_says_whether_the_integers_are_equal_or_why_there_are_none(rows: list[dict]) -> None:
    plain, inq, other, _ = rows
    assert plain["integers"].startswith("equal in ")
    assert plain[coverage.DIFFERENCE] < 5
    assert plain[coverage.CONTROL] < 5
    assert plain["operations"] == inq["operations"]
    assert coverage.CONTROL not in inq
    assert other["integers"] == "refused"
    assert "group norm" in other["note"]


def test_the_tables_are_written_where_their_marks_are(
    rows: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (coverage.PAGE, coverage.README):
        path.parent.mkdir(exist_ok=True)
        path.write_text("Before\n" + "\n".join(marks(coverage.MARK)) + "\nAfter\n")
    coverage.write(rows)
    table = pd.read_csv(coverage.TABLE)
    assert list(table.network) == ["plain", "plain", "other", "other"]
    assert coverage.PAGE.read_text().count("| plain |") == 2
    assert coverage.README.read_text().count("| plain | equal") == 1
    coverage.write(table.to_dict("records"))  # what is kept is written as it was
    assert coverage.PAGE.read_text().count("| plain |") == 2


def test_random_errors_are_as_large_as_those_of_quantization() -> None:
    torch.manual_seed(0)
    model, images = tiny("plain", None).eval(), coverage.images(16, 0)
    quantized = coverage.dyadic.quantize(model, images, weight=coverage.dyadic.Uniform(4))
    weight, scattered = model[0].weight, coverage.with_random_errors(quantized).layers[0].module
    error = quantized.layers[0].module.weight - weight
    assert torch.allclose((scattered.weight - weight).abs(), error.abs(), atol=1e-6)
    assert not torch.allclose(scattered.weight - weight, error, atol=1e-6)
