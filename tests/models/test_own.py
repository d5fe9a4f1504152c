"""A network of the user's: found in her folder, and its errors shown with their cause."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dyadic.errors import UserError
from dyadic.models.own import own

MODULE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=2):
        super().__init__(nn.Flatten(), nn.Linear(12, width))

def broken():
    return nn.Linear(3, "four")

def number():
    return 3

def with_cause():
    try:
        {}["x"]
    except KeyError as error:
        raise RuntimeError("no x") from error

value = 3
"""


@pytest.fixture(autouse=True)
def _her_folder(tmp_path: Path) -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    (tmp_path / "hernet.py").write_text(MODULE)
    (tmp_path / "typo.py").write_text("def f(:\n")
    (tmp_path / "needs.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "raises.py").write_text("\n\n1 / 0\n")
    (tmp_path / "misses.py").write_text("import torch\ntorch.nothing_like_that\n")
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_callable_is_called_with_its_arguments() -> None:
    assert own(2, 3, "hernet:Net")(torch.zeros(1, 3, 2, 2)).shape == (1, 2)
    assert own(5, 3, "hernet:Net", {"width": 5})(torch.zeros(1, 3, 2, 2)).shape == (1, 5)


@pytest.mark.parametrize(
    ("factory", "says"),
    [
        ("hernet", "factory=hernet; factory is module:callable"),
        ("absent:Net", "there is no absent in "),
        ("hernet:Nett", "factory=hernet:Nett; hernet has no Nett"),
        ("hernet:value", "value is int, not a callable"),
        ("hernet:number", "returns int; it must return an nn.Module"),
        ("hernet:broken", r"hernet:broken failed: TypeError: .*\(\w+.py, line \d+\)"),
        ("hernet:with_cause", r"failed: RuntimeError: no x \(hernet.py, line 18\)"),
        ("typo:f", "cannot be imported: SyntaxError: invalid syntax .*typo.py, line 1"),
        ("needs:f", r"No module named 'not_installed_anywhere' \(needs.py, line 1\)"),
        ("raises:f", r"ZeroDivisionError: division by zero \(raises.py, line 3\)"),
        ("misses:f", r"cannot be imported: AttributeError: .*nothing_like_that"),
    ],
)
def test_an_error_is_one_line_with_its_cause_and_place(factory: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        own(2, 3, factory)
    assert "\n" not in str(error.value)


def test_arguments_that_it_does_not_take_are_named() -> None:
    with pytest.raises(UserError, match="unexpected keyword argument 'depth'"):
        own(2, 3, "hernet:Net", {"depth": 3})
