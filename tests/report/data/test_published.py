"""The papers' numbers: schema, units, no number twice, and what the page makes of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dyadic.report.data.published import COLUMNS, drops, methods_of, read_published, tables_of

FOLDER = Path(__file__).parents[3] / "experiments" / "published"
FILES = [p for p in sorted(FOLDER.glob("*.csv")) if "paper" in p.read_text().partition("\n")[0]]
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


def test_inq_gains_are_the_ones_that_the_paper_prints() -> None:
    table = drops(read_published(FOLDER))
    cells = table[(table.paper == "inq") & (table.table == "Table 1") & (table.row == "INQ")]
    gains = dict(zip(cells.network, -cells.top1_drop, strict=True))
    expected = {"AlexNet": 0.15, "VGG-16": 2.28, "GoogLeNet": 0.13, "ResNet-18": 0.71}
    expected["ResNet-50"] = 1.59
    assert gains == pytest.approx(expected)


def test_a_drop_is_positive_when_accuracy_is_lost() -> None:
    rows = [("top1", 90.0, 92.0), ("top1_error", 10.0, 8.0), ("top1_drop", 2.0, np.nan)]
    table = pd.DataFrame(rows, columns=["metric", "value", "baseline"]).assign(
        weight_bits=4, activation_bits="4/8"
    )
    assert list(drops(table).top1_drop) == [2.0, 2.0, 2.0]


def test_logquant_is_reproduced_by_two_methods() -> None:
    assert methods_of("logquant") == ("log2", "log_sqrt2")
    assert methods_of("inq") == ("inq",)


def test_a_table_finds_its_paper_by_name_or_by_column() -> None:
    tables = {
        "inq_table3": pd.DataFrame({"bits": [5]}),
        "log_sqrt2_weights": pd.DataFrame({"bits": [5]}),
        "other": pd.DataFrame({"paper": ["inq"]}),
    }
    assert list(tables_of("inq", tables)) == ["inq_table3", "other"]
    assert list(tables_of("logquant", tables)) == ["log_sqrt2_weights"]


def test_a_file_with_other_columns_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bits.csv").write_text("layer,size_0.75\n0,8\n")
    assert read_published(tmp_path).empty
