"""Verdicts on published claims: margins, seeds, noise, settings, and tables that say so."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dyadic.errors import UserError
from dyadic.report.claims import block, main
from dyadic.report.command import insert, marks
from dyadic.report.data.claims import (
    Comparison,
    parse,
    published_difference,
    published_row,
    read_claims,
)
from dyadic.report.data.published import read_published
from dyadic.report.data.verdicts import matches, read_verdicts
from dyadic.report.text import markdown

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"
TABLES = ROOT / "results" / "tables"

CLAIM = {
    "paper": "inq",
    "table": "Table 2",
    "statement": "Largest first is better.",
    "runs": {"method.name": "inq"},
    "published": {"table": "Table 2"},
    "arms": {
        "largest": {"runs": {"partition": "largest"}, "published": {"row": "largest first"}},
        "random": {"runs": {"partition": "random"}, "published": {"row": "random"}},
    },
    "comparisons": [
        {"better": "largest", "worse": "random", "margin": 0.5},
        {"better": "largest", "worse": "float", "margin": -1.0},
    ],
}
PUBLISHED = (
    "paper,table,row,network,data,weight_bits,activation_bits,metric,value,baseline,"
    "baseline_kind,source\n"
    "inq,Table 2,largest first,ResNet-18,ImageNet,5,32,top1_error,31.02,31.73,start,x\n"
    "inq,Table 2,random,ResNet-18,ImageNet,5,32,top1_error,32.11,31.73,start,x\n"
)


class Workplace:
    """An experiments folder and run records, made up."""

    def __init__(self, root: Path) -> None:
        self.experiments, self.runs, self.out = root / "exp", root / "runs", root / "tables"
        (self.experiments / "published").mkdir(parents=True)
        (self.experiments / "published" / "inq.csv").write_text(PUBLISHED)
        readme = "before\n<!-- claims:begin -->\n<!-- claims:end -->\nafter\n"
        (self.experiments / "README.md").write_text(readme)
        self.write(CLAIM)

    def write(self, claim: dict) -> None:
        (self.experiments / "partition.yaml").write_text(yaml.safe_dump({"claim": claim}))

    def run(
        self, partition: str, seed: int, top1: float, network="resnet8", epochs=3, draw=0
    ) -> None:
        folder = self.runs / f"{network}-{partition}-{seed}-{epochs}-{draw}"
        folder.mkdir(parents=True)
        config = {"method": {"name": "inq"}, "partition": partition, "epochs": epochs}
        config["allocation"] = {"solver": {"seed": draw}, "bits": 5, "activation_bits": None}
        (folder / "config.yaml").write_text(yaml.safe_dump(config | {"seed": seed}))
        (folder / "history.csv").write_text(f"epoch,top1\n0,{top1 + 0.5}\n1,{top1}\n")
        summary = {
            "status": "done", "dataset": "fashion_mnist", "model": network, "seed": seed,
            "top1": top1, "float_top1": 91.0 + seed, "hardware": "two cores",
            "precision": "bf16-mixed", "epochs": {"baseline": 4, "quantize": epochs},
            "ended": f"2026-11-20T10:00:0{epochs}", "integer": {"top1": top1 - 0.5},
            "quantizer": {"weight": "PowerOfTwo", "activation": None},
        }  # fmt: skip
        (folder / "summary.json").write_text(json.dumps(summary))

    def claims(self, *more: str) -> int:
        where = [str(self.runs), str(self.out), "--experiments", str(self.experiments)]
        return main([*where, *more])

    def verdicts(self) -> pd.DataFrame:
        assert self.claims() == 0
        return read_verdicts(self.out / "claims.csv")

    def pair(self, largest: list[float], random: list[float]) -> None:
        for seed, values in enumerate(zip(largest, random, strict=True)):
            self.run("largest", seed, values[0])
            self.run("random", seed, values[1])


@pytest.fixture
def workplace(tmp_path):
    return Workplace(tmp_path)


TOP1 = [91.0, 91.5, 91.2, 91.3, 91.1]


def test_a_margin_below_the_interval_is_held_and_one_above_it_is_not(workplace):
    workplace.pair(TOP1, [89.9, 90.5, 90.1, 90.3, 89.9])
    first, second = workplace.verdicts().to_dict("records")
    assert (first["verdict"], first["seeds"], first["difference"]) == ("held", 5, 1.08)
    assert 0.5 < first["low"] < 1.08 < first["high"]
    assert first["published"] == 1.09  # errors: less is better
    # floats are 91 to 95, by the seed
    assert (second["verdict"], second["difference"], second["published"]) == (
        "undecided",
        -1.78,
        0.71,
    )
    assert second["claim"] == "largest − float ≥ −1.0"
    assert first["holm"] == pytest.approx(2 * first["p"], abs=1e-3)
    workplace.write(CLAIM | {"comparisons": [CLAIM["comparisons"][0] | {"margin": 2.0}]})
    assert list(workplace.verdicts().verdict) == ["did not hold"]


def test_an_undecided_claim_says_how_many_seeds_would_decide(workplace):
    workplace.pair(TOP1, [90.9, 90.1, 91.0, 90.2, 90.9])
    first = workplace.verdicts().iloc[0]
    assert first.verdict == "undecided"
    assert re.fullmatch(r"undecided \(about \d+ seeds would decide\)", first.says)


def test_four_seeds_give_no_verdict_however_far_apart(workplace):
    workplace.pair([99.0] * 4, [10.0, 10.1, 10.2, 10.3])
    first = workplace.verdicts().iloc[0]
    assert (first.verdict, first.says) == ("too few seeds", "too few seeds (4 of 5)")


def test_a_seed_counts_only_where_both_arms_have_it(workplace):
    workplace.run("largest", 0, 91.0)
    workplace.run("largest", 1, 92.0)
    workplace.run("random", 1, 90.0)
    assert list(workplace.verdicts().seeds) == [1, 2]
    assert list(workplace.verdicts().differences) == ["1:2.0000", "0:0.0000 1:0.0000"]


def test_draws_with_one_seed_count_as_their_mean(workplace):
    for seed in (0, 1):
        workplace.run("largest", seed, 91.0)
        for draw, top1 in enumerate([89.0, 90.0, 91.0]):
            workplace.run("random", seed, top1, draw=draw)
    first = workplace.verdicts().to_dict("records")[0]
    assert (first["difference"], first["low"], first["high"], first["seeds"]) == (1.0, 1.0, 1.0, 2)


def test_networks_and_longer_training_are_not_mixed(workplace):
    for seed in (0, 1):
        workplace.run("largest", seed, 91.0)
        workplace.run("random", seed, 90.0)
        workplace.run("largest", seed, 80.0, network="resnet20")
        workplace.run("random", seed, 85.0, network="resnet20")
    workplace.run("largest", 0, 99.0, epochs=9)  # later, but one seed
    table = workplace.verdicts()
    assert list(table.network) == ["resnet20", "resnet20", "resnet8", "resnet8"]
    assert list(table.difference) == [-5.0, -11.5, 1.0, -0.5]


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


def test_missing_values_are_null_and_others_must_be_equal():
    config = {"quantizer": {"activation": None, "weight": {"base": 2}}}
    assert matches(config, {"quantizer.activation": None, "quantizer.weight.base": 2})
    assert matches(config, {"quantizer.activation.ste": None})
    assert not matches(config, {"quantizer.weight.base": "sqrt2"})


# The repository's own experiments.

PUBLISHED_HERE = read_published(EXPERIMENTS / "published")
CLAIMS = read_claims(EXPERIMENTS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.experiment)
def test_every_claim_finds_its_published_rows(claim):
    assert claim.paper in {"bottom_up", "survey", *PUBLISHED_HERE.paper}
    for arm in claim.arms.values():
        published_row(arm, PUBLISHED_HERE)
    for comparison in claim.comparisons:
        difference = published_difference(comparison, claim, PUBLISHED_HERE)
        # What is asked for here is never more than what the paper has.
        assert difference is None or difference >= comparison.margin


def test_published_differences_are_the_papers():
    by_name = {claim.experiment: claim for claim in CLAIMS}
    comparison = Comparison("largest first, 5 bits", "random, 5 bits", 0.0)
    found = published_difference(comparison, by_name["inq_partition"], PUBLISHED_HERE)
    assert found == pytest.approx(1.09)


def test_the_readme_shows_the_committed_table_and_every_claim():
    text = (EXPERIMENTS / "README.md").read_text()
    table = read_verdicts(TABLES / "claims.csv")
    assert block(table) in text, "run `python -m dyadic.report.claims`"
    declared = {(c.experiment, str(x)) for c in CLAIMS for x in c.comparisons}
    assert set(zip(table.experiment, table.claim, strict=True)) == declared


def test_the_readme_names_files_that_exist():
    text = (EXPERIMENTS / "README.md").read_text()
    named = re.findall(r"`([\w/]+\.(?:py|yaml))` \|$", text, flags=re.MULTILINE)
    assert len(named) > 20
    for name in named:
        places = (EXPERIMENTS / name, ROOT / name, ROOT / "src" / "dyadic" / name)
        assert any(place.is_file() for place in places), name


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_experiments_say_what_they_are_and_how_to_run(path):
    text = path.read_text()
    assert text.startswith("# @package _global_\n# ")
    assert f"python run.py -m +experiments={path.stem}\n" in text
    assert re.search(r"^# .*on two cores [\d.]+ minutes", text, flags=re.MULTILINE)
    assert yaml.safe_load(text)["hydra"]["mode"] == "MULTIRUN"


def test_the_smoke_experiment_has_every_method():
    smoke = yaml.safe_load((EXPERIMENTS / "smoke.yaml").read_text())
    named = smoke["hydra"]["sweeper"]["params"]["method"].split(",")
    assert sorted(named) == sorted(path.stem for path in (ROOT / "conf/method").glob("*.yaml"))
