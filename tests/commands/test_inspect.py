"""`python -m dyadic inspect` says what has an integer form, and all that has none."""

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
