"""`python -m dyadic inspect` says what has an integer form, and all that has none."""

import re
from pathlib import Path

import pytest

from dyadic.__main__ import main

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.own, self.fc = nn.Conv2d(1, 4, 3), nn.LayerNorm(14), nn.Linear(4, 10)

    def forward(self, x):
        return torch.softmax(self.fc(self.own(self.conv(x)).mean([2, 3])), 1)
"""


def test_all_that_has_no_integer_form_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "inspected.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    code = main(["inspect", "model=own", "model.factory=inspected:Net", "dataset=synthetic"])
    said = capsys.readouterr().out
    assert code == 2
    assert "yes  conv (Conv2d)" in said
    assert "NO   layer norm (own: LayerNorm, inspected.py:11)" in said
    assert "NO   softmax (inspected.py:11)" in said


def inspected(capsys: pytest.CaptureFixture[str], *choices: str) -> tuple[int, str]:
    """Exit code and what was said, of a small network on generated images."""
    small = ("model=resnet8", "model.width=4", "dataset=synthetic")
    return main(["inspect", *small, *choices]), "".join(capsys.readouterr())


def test_the_widths_are_those_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = inspected(capsys, "method=inq", "bits=5")
    bits = int(re.search(r"accumulators of (\d+) bits", said).group(1))
    assert code == 0
    assert bits < 32  # 2^7, 2^7 and at most 2^10 products; 2^30 at 8 bits


def test_a_network_that_does_not_fit_its_images_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "misfit.py").write_text(NET.replace("(4, 10)", "(4, 7)"))
    monkeypatch.chdir(tmp_path)
    code = main(["inspect", "model=own", "model.factory=misfit:Net", "dataset=synthetic"])
    assert code == 2
    assert "the network tells 7 classes apart; synthetic has 10" in capsys.readouterr().err
