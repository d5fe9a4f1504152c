"""`python -m dyadic pareto`: one command from choices to a table and a plot."""

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from tests.runs import ROOT, TINY, configuration

from dyadic.__main__ import main
from dyadic.commands.build import run
from dyadic.commands.pareto import pareto
from dyadic.errors import UserError
from dyadic.report.fronts import layers_of

CHOICES = (*TINY, "method=hawq_v3", "sensitivity=sqnr", "schedule=none", "deploy=none")


def test_a_front_with_random_and_uniform_ones_and_the_run_that_is_on_it(tmp_path: Path) -> None:
    own = ("points=5", "random=3", f"results_dir={tmp_path}")
    said = pareto([*CHOICES, *own])
    (path,) = (tmp_path / "pareto").glob("*.csv")
    assert path.stem.rpartition("-")[0] == "synthetic-resnet8-hawq_v3-sqnr-s0-gbops"
    assert said.startswith(f"{path}: 9 random, 5 ilp, 2 uniform; at 50 % random widths do ")
    front = pd.read_csv(path)
    ilp = front[front.source == "ilp"]
    assert ilp.share.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert ilp.omega.is_monotonic_decreasing
    assert (front.gbops <= front.budget.fillna(float("inf"))).all()
    assert front[layers_of(front)].isin(["4/4", "8/8"]).all(axis=None)
    assert ElementTree.parse(path.with_suffix(".svg")).getroot().tag.endswith("svg")
    assert not list((tmp_path / "runs").glob("*"))

    run(configuration(tmp_path, *CHOICES[len(TINY) :], "allocation=ilp", "sensitivity=sqnr"))
    assert pareto([*CHOICES, *own]).endswith("1 of 16 have runs")
    again = pd.read_csv(path)
    assert again[again.share == 0.5].iloc[0].runs == 1
    assert set(again.training) == {"without training"}
    scores = ["training", "top1", "runs"]
    pd.testing.assert_frame_equal(again.drop(columns=scores), front.drop(columns=scores))
    with pytest.raises(UserError, match="needs the device's table"):
        pareto([*CHOICES, "measure=latency", f"results_dir={tmp_path}"])


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("measure=watts", "size, gbops, latency"),
        ("points=1", "at least 2 budgets"),
        ("random=-1", "0 or more"),
        ("allocation=fixed", "allocation=ilp"),
        ("allocation=greedy", "allocation=ilp"),
        ("allocation.budget.gbops=0.5", "leave allocation.budget empty"),
        ("methd=inq", "methd"),
        ("allocation.budgt.gbops=1", "budgt"),
        ("method=nothing", "nothing"),
    ],
)
def test_what_makes_no_front_is_one_line(
    tmp_path: Path,
    choice: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    kept = [c for c in CHOICES if c.partition("=")[0] != choice.partition("=")[0]]
    assert main(["pareto", *kept, choice, f"results_dir={tmp_path}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error
    assert not list(tmp_path.glob("pareto/*"))
