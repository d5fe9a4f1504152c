"""The command of the claims: tables, pages, READMEs, and what it refuses."""

import json
import re

import pandas as pd
import pytest
from tests.report.workplace import CLAIM, TOP1

from dyadic.errors import UserError
from dyadic.report.command import insert, marks
from dyadic.report.data.claims import (
    parse,
    published_row,
)
from dyadic.report.tables import markdown


def test_the_page_of_a_claim_has_the_numbers_the_picture_the_command_and_the_runs(workplace):
    workplace.pair(TOP1, [89.9, 90.5, 90.1, 90.3, 89.9])
    workplace.run("random", 0, 77.0, epochs=9)
    workplace.write(CLAIM | {"tried": "Other orders."})
    workplace.verdicts()
    row = pd.read_csv(workplace.out / "partition.csv").iloc[0]
    assert (row["top-1"], row["sd"], row["seeds"]) == (91.22, 0.19, 5)
    assert (row["published"], row["published on"]) == (31.02, "ResNet-18, ImageNet")
    pages = workplace.out.parent / "claims"
    text = (pages / "partition.md").read_text()
    assert "The paper: Largest first is better." in text
    assert "Here: **1 held, 1 undecided**." in text
    assert "+1.10, +1.00, +1.10, +1.00, +1.20" in text
    assert "python run.py -m +experiments=partition\n" in text
    assert "`resnet8-largest-0-3-0`" in text
    assert "Other orders." in text
    assert "random: 77.00 % on 1 seed, 9 epochs" in text
    picture = (pages / "partition-1.svg").read_text()
    assert "![1 held, 1 undecided: resnet8 on fashion_mnist, two cores](partition-1.svg)" in text
    assert picture.startswith("<svg")
    # Of two claims: five seeds, their mean, the margin, the paper's difference; each in the legend
    assert picture.count('aria-roledescription="point"') == 2 * (5 + 3)
    for mark in ("seed", "mean", "margin", "published"):
        assert f">{mark}</text>" in picture
    assert ">held</text>" in picture


def test_the_readme_shows_the_papers_and_the_arms_of_the_headline(workplace, monkeypatch):
    monkeypatch.setattr("dyadic.report.claims.SHOWN", ("partition", "not run yet"))
    root = workplace.experiments.parent / "README.md"
    root.write_text("\n".join([*marks("papers"), *marks("results"), "end\n"]))
    claim = json.loads(json.dumps(CLAIM))
    claim["arms"]["float trained on"] = {"runs": {"partition": "none"}}
    claim["arms"]["never run"] = {"runs": {"partition": "other"}}
    workplace.write(claim)
    workplace.pair(TOP1, [89.9, 90.5, 90.1, 90.3, 89.9])
    workplace.run("none", 0, 91.75)
    workplace.verdicts()
    text = root.read_text()
    lines = text.splitlines()
    assert "| inq | 1 | 0 | 1 | 0 | 0 | 5 |" in lines
    fine_tuned = [line for line in text.partition("Fine-tuned:")[2].splitlines() if "| inq" in line]
    assert fine_tuned == [
        "| inq | largest | resnet8 | 5 | float | 93 | 91.75 | 91.22 | 0.19 | 90.72 | 5 | 3 |",
        "| inq | random | resnet8 | 5 | float | 93 | 91.75 | 90.14 | 0.26 | 89.64 | 5 | 3 |",
    ]
    assert "without training" not in text
    assert lines[-1] == "end"
    assert workplace.claims("--check") == 0
    root.write_text(root.read_text().replace("91.22", "91.23"))
    assert workplace.claims("--check") == 1


def test_a_readme_without_marks_is_refused():
    with pytest.raises(UserError, match="no place"):
        insert("# nothing here", "table", "results")


def test_a_missing_number_is_an_empty_cell():
    table = pd.DataFrame({"method": ["a|b"], "sd": [float("nan")], "seeds": [None]})
    table["seeds"] = table.seeds.astype("Int64")
    assert markdown(table).splitlines()[-1] == "| a\\|b |  |  |"


def test_a_cell_that_a_spreadsheet_would_run_is_text(workplace):
    claim = json.loads(json.dumps(CLAIM))
    claim["arms"]["=cmd()"] = claim["arms"].pop("largest")
    for comparison in claim["comparisons"]:
        comparison["better"] = "=cmd()"
    workplace.write(claim)
    workplace.pair(TOP1, TOP1[::-1])
    workplace.verdicts()
    for name in ("claims.csv", "partition.csv"):
        cells = (workplace.out / name).read_text().replace("\n", ",").split(",")
        assert "'=cmd()" in " ".join(cells)
        assert not any(re.match(r'"?[=@+]|"?-\D', cell) for cell in cells)


def test_without_runs_every_claim_is_not_run_and_earlier_tables_stay(workplace, tmp_path):
    assert set(workplace.verdicts().verdict) == {"not run"}
    for seed in (0, 1):
        workplace.run("largest", seed, 91.0)
        workplace.run("random", seed, 90.0)
    before = workplace.verdicts()
    workplace.runs = tmp_path / "nothing"
    pd.testing.assert_frame_equal(workplace.verdicts(), before)
    workplace.write(CLAIM | {"comparisons": CLAIM["comparisons"][:1]})
    assert list(workplace.verdicts().verdict) == ["not run"]


def test_check_finds_a_stale_readme(workplace, capsys):
    workplace.verdicts()
    assert workplace.claims("--check") == 0
    readme = workplace.experiments / "README.md"
    readme.write_text(readme.read_text().replace("not run", "held"))
    assert workplace.claims("--check") == 1
    assert "stale" in capsys.readouterr().err
    workplace.verdicts()
    assert readme.read_text().startswith("before\n")
    assert readme.read_text().endswith("after\n")


def test_unfinished_and_foreign_records_are_left_out(workplace):
    workplace.run("largest", 0, 91.0)
    (workplace.runs / "half").mkdir()
    (workplace.runs / "half" / "config.yaml").write_text("method: {name: inq}\n")
    (workplace.runs / "foreign").mkdir()
    (workplace.runs / "foreign" / "summary.json").write_text('{"status": "done"}')
    assert list(workplace.verdicts().seeds) == [0, 1]


def test_a_claim_that_names_no_arm_of_its_own_is_refused(workplace, capsys):
    workplace.write(CLAIM | {"comparisons": [{"better": "a", "worse": "random", "margin": 0}]})
    assert workplace.claims() == 2
    assert "no arm a; use largest, random" in capsys.readouterr().err
    workplace.write({"paper": "inq"})
    assert workplace.claims() == 2


def test_published_rows_are_one_or_refused():
    claim = parse("x", CLAIM)
    table = pd.DataFrame([{"table": "Table 2", "row": "random", "value": 1.0}] * 2)
    with pytest.raises(UserError, match="2 published rows"):
        published_row(claim.arms["random"], table)
