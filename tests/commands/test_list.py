"""`python -m dyadic`: what there is to choose from, one line each."""

from pathlib import Path

import pytest
from tests.runs import ROOT

from dyadic.__main__ import main
from dyadic.commands.list import GROUPS, catalogue


def test_every_choice_has_a_line_of_its_own() -> None:
    found = catalogue(ROOT / "experiments")
    assert set(found) == {*GROUPS, "experiments"}
    for group, rows in found.items():
        assert rows, group
        for name, line in rows.items():
            assert line.strip(), f"{group}: {name}"
    assert {"inq", "hawq_v3", "binary_relax"} <= set(found["methods"])
    assert {"hessian", "sqnr"} <= set(found["sensitivities"])


def test_the_list_is_what_the_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main([]) == 0
    printed = capsys.readouterr().out
    for group, rows in catalogue(Path("experiments")).items():
        assert f"{group}\n" in printed
        for name, line in rows.items():
            assert any(
                row.split() == [name, *line.split()] for row in printed.splitlines() if row.strip()
            )


def test_elsewhere_it_lists_what_the_package_brings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert "  inq " in printed
    assert "experiments" not in printed
