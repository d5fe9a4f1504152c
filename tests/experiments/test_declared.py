"""The claims that the repository itself makes: published rows, README, one file each."""

import math
import re
from pathlib import Path

import pytest
import yaml

from dyadic.report.claims import block
from dyadic.report.data.claims import (
    Comparison,
    published_difference,
    published_row,
    read_claims,
    read_published,
)
from dyadic.report.data.verdicts import read_verdicts

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = ROOT / "experiments"
TABLES = ROOT / "results" / "tables"
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
        assert math.isnan(difference) or difference >= comparison.margin


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
