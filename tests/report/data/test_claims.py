"""The papers' numbers: schema, units, no number twice, and what is no such table."""

from pathlib import Path

import pandas as pd
import pytest

from dyadic.report.data.claims import read_published

FOLDER = Path(__file__).parents[3] / "experiments" / "published"
FILES = [p for p in sorted(FOLDER.glob("*.csv")) if "paper" in p.read_text().partition("\n")[0]]
COLUMNS = [
    *["paper", "table", "row", "network", "data", "weight_bits", "activation_bits"],
    *["metric", "value", "baseline", "baseline_kind", "source"],
]
OURS = [p for p in FILES if not p.stem.startswith("hawq")]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_there_are_files() -> None:
    assert {"inq", "logquant", "hwgq", "tsq", "binary_relax", "survey_ste"} <= {
        path.stem for path in FILES
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_columns_types_and_no_duplicate(path: Path) -> None:
    table = read(path)
    assert list(table.columns) == COLUMNS
    for column in ("paper", "table", "row", "network", "data", "metric", "value", "source"):
        assert (table[column] != "").all(), column
    for column in ("value", "baseline"):
        pd.to_numeric(table.loc[table[column] != "", column], errors="raise")
    for column in ("weight_bits", "activation_bits"):
        assert table[column].str.fullmatch(r"[\w./*]*").all()
    assert not table.drop(columns="source").duplicated().any()


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.stem)
def test_a_cell_has_one_value_and_a_baseline_has_a_kind(path: Path) -> None:
    table = read(path)
    assert not table.duplicated(COLUMNS[:8]).any()
    assert ((table.baseline == "") == (table.baseline_kind == "")).all()
    assert set(table.baseline_kind) <= {"", "start", "own", "external"}
    assert all(path.stem.startswith(paper) for paper in table.paper)


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.stem)
def test_percentages_are_percentages(path: Path) -> None:
    table = read(path)
    values = table.loc[table.metric.isin(["top1", "top5", "top1_error", "top5_error"]), "value"]
    assert pd.to_numeric(values).between(1, 100).all()


def test_a_file_with_other_columns_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bits.csv").write_text("layer,size_0.75\n0,8\n")
    assert read_published(tmp_path).empty
