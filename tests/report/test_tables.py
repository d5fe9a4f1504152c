from pathlib import Path

import pandas as pd
import pytest

from dyadic.errors import UserError
from dyadic.record.read import read_records
from dyadic.report.data.frames import csv
from dyadic.report.data.runs import overview
from dyadic.report.tables import BEGIN, END, main, read_table, results_table
from dyadic.report.text import insert, markdown


@pytest.fixture
def paths(runs: Path, tmp_path: Path) -> list[str]:
    readme = tmp_path / "README.md"
    readme.write_text(f"# x\n\n{BEGIN}\n{END}\n\nafter\n")
    return [str(runs), "--out", str(tmp_path / "tables/results"), "--readme", str(readme)]


def test_a_row_a_configuration_with_seeds_and_hardware(runs: Path) -> None:
    table = results_table(overview(read_records(runs)))
    assert len(table) == 20
    row = table[(table.method == "inq") & (table.bits == 4)].iloc[0]
    assert (row.seeds, row.levels, row.integers, row.hardware) == (3, 9, "equal", "2 CPU cores")
    assert row["drop"] == pytest.approx(row["float top-1"] - row["top-1"], abs=0.011)


def test_runs_are_chosen_by_name(runs: Path) -> None:
    table = results_table(overview(read_records(runs)), "inq-*")
    assert set(table.method) == {"inq"}


def test_the_table_survives_its_file(runs: Path, tmp_path: Path) -> None:
    table = results_table(overview(read_records(runs)))
    (tmp_path / "results.csv").write_text(csv(table))
    assert markdown(read_table(tmp_path / "results.csv")) == markdown(table)


def test_a_missing_number_is_an_empty_cell() -> None:
    table = pd.DataFrame({"method": ["a|b"], "sd": [float("nan")], "seeds": [None]})
    table["seeds"] = table.seeds.astype("Int64")
    assert markdown(table).splitlines()[-1] == "| a\\|b |  |  |"


def test_the_readme_is_filled_and_then_fresh(paths: list[str], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    assert main(paths) == 0
    assert "| inq | 4 | float | 9 | 3 |" in readme.read_text()
    assert readme.read_text().endswith(f"{END}\n\nafter\n")
    assert main([*paths, "--check"]) == 0


def test_a_stale_readme_fails_the_check(
    paths: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(paths)
    table = tmp_path / "tables/results.csv"
    table.write_text(table.read_text().replace("92.44", "93.44"))
    assert main([*paths, "--check"]) == 1
    assert "stale" in capsys.readouterr().err


def test_without_marks_or_runs_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="no place"):
        insert("# nothing here", "table", BEGIN, END)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
