"""What a run's record says of its layers and classes."""

import json
from pathlib import Path

from tests.runs import configuration, rows_of

from dyadic.commands.build import run

MIXED = ("method=hawq_v3", "allocation=ilp", "sensitivity=sqnr", "schedule=none", "deploy=none")


def test_a_measured_sensitivity_stands_beside_the_bits(tmp_path: Path) -> None:
    summary = run(configuration(tmp_path, *MIXED))
    rows = rows_of(tmp_path / "runs" / summary["name"] / "layers.csv")
    assert {row["weight_bits"] for row in rows} == {"4", "8"}
    assert all(float(row["sensitivity"]) > 0 for row in rows)
    assert len({row["sensitivity"] for row in rows}) == len(rows)


def test_classes_are_named_and_what_was_not_measured_is_empty(tmp_path: Path) -> None:
    summary = run(configuration(tmp_path, "method=log2", "deploy=none"))
    folder = tmp_path / "runs" / summary["name"]
    assert {row["sensitivity"] for row in rows_of(folder / "layers.csv")} == {""}
    written = json.loads((folder / "summary.json").read_text())
    assert written["classes"] == [str(label) for label in range(10)]
