"""Statements on tensors: the row counts layers, and says no where the statement is wrong."""

from functools import partial
from pathlib import Path

import torch
from experiments.survey import Statement, collected, holds, rows, statements
from tests.runs import TINY

from dyadic.quantizers import Uniform
from dyadic.quantizers.calibration import percentile
from dyadic.record.read import read_csv

ROOT = Path(__file__).parents[2]


def test_a_statement_and_its_opposite() -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(1000), torch.randn(4000)]
    coarse, fine = partial(Uniform, 3), partial(Uniform, 6)
    row = holds(Statement("", "weights", fine, coarse), tensors)
    assert (row["layers"], row["held in"]) == (2, 2)
    assert holds(Statement("", "weights", coarse, fine), tensors)["held in"] == 0


def test_an_outlier_is_left_out_by_a_percentile_and_its_own_error_is_not_counted() -> None:
    torch.manual_seed(0)
    make = partial(Uniform, 4)
    clipped = Statement("", "weights", partial(make, calibration=percentile), make, outlier=True)
    row = holds(clipped, [torch.randn(4000)])
    assert row["held in"] == 1
    assert row["ratio of errors"] > 10


def test_every_statement_has_its_tensors_and_a_row_in_the_committed_table(tmp_path: Path) -> None:
    choices = [*(c for c in TINY if c != "model=resnet8"), "start=train"]
    found = collected(choices, tmp_path)
    assert len(found["weights"]) == 10
    assert len(found["activations"]) > 5
    table = list(rows(choices, tmp_path))
    committed = read_csv(ROOT / "results" / "tables" / "survey.csv")
    assert [r["statement"] for r in table] == [s.text for s in statements()]
    assert list(committed.statement) == [s.text for s in statements()]
