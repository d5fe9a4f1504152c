"""HAWQ-V3's speed claim: the verdict of measured ratios, the page, the table, the README's rows."""

import csv

import pytest
from experiments.hawq_v3.speed import COLUMNS, NAMES, Setting, Speedup, page, write

from dyadic.errors import UserError

SETTING = Setting(8, 15, "a processor, avx2, 2 threads")
FASTER = Speedup("resnet18", [1.20, 1.22, 1.24, 1.26, 1.28])
UNCLEAR = Speedup("resnet50", [0.90, 1.10, 1.00, 0.95, 1.06])
SLOWER = Speedup("resnet50", [0.80, 0.82, 0.84, 0.86, 0.88])


@pytest.mark.parametrize(
    ("speedup", "verdict"),
    [
        (FASTER, "held"),
        (SLOWER, "did not hold"),
        (Speedup("resnet18", [1.2, 1.3]), "too few seeds (2 of 5)"),
    ],
)
def test_the_verdict_is_that_of_the_whole_interval_against_equal_speed(speedup, verdict):
    assert speedup.row("here")["verdict"] == verdict


def test_what_lies_around_equal_speed_is_undecided():
    row = UNCLEAR.row("here")
    assert row["verdict"].startswith("undecided")
    assert row["ours"] == "1.00"


def test_a_row_has_the_papers_number_the_mean_and_student_s_interval():
    row = FASTER.row("here")
    assert list(row) == COLUMNS
    assert (row["published"], row["ours"], row["networks"]) == ("1.48", "1.24", "5")
    # sd 0.0316, t(4) 2.776: half of the interval is 0.0393
    assert row["95 % interval"] == "1.20 to 1.28"
    assert SLOWER.published == 1.45


def test_the_page_says_what_was_measured_and_how_to_repeat_it():
    text = page([FASTER, UNCLEAR], SETTING)
    assert "1.48 (ResNet-18) and 1.45 (ResNet-50) times" in text
    assert "over\n15 rounds" in text
    assert "| resnet18 | 1.20 | 1.22 | 1.24 | 1.26 | 1.28 |" in text
    assert "ResNet-50: 0 % of the T4's gain (+0 % beside +45 %)." in text
    assert "python benchmarks/hawq_v3.py --write" in text


def test_page_table_and_readme_are_written_together(tmp_path):
    (tmp_path / "experiments").mkdir()
    readme = tmp_path / "experiments" / "README.md"
    readme.write_text("before\n<!-- speed:begin -->\nstale\n<!-- speed:end -->\nafter\n")
    for folder in ("claims", "tables"):
        (tmp_path / "results" / folder).mkdir(parents=True)
    write(tmp_path, [FASTER, SLOWER], SETTING)
    text = readme.read_text()
    assert (text.splitlines()[0], text.splitlines()[-1]) == ("before", "after")
    assert "stale" not in text
    assert f"| {NAMES['resnet18']}: speed of W4A4 / speed of W8A8 ≥ 1.0 | held | 1.48 |" in text
    with (tmp_path / "results" / "tables" / "hawq_v3_speed.csv").open(newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["held", "did not hold"]
    assert "did not hold" in (tmp_path / "results" / "claims" / "hawq_v3_speed.md").read_text()


def test_a_readme_without_a_place_for_the_rows_is_refused(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "README.md").write_text("no marks\n")
    for folder in ("claims", "tables"):
        (tmp_path / "results" / folder).mkdir(parents=True)
    with pytest.raises(UserError):
        write(tmp_path, [FASTER], SETTING)
    assert list((tmp_path / "results").rglob("*.*")) == []
