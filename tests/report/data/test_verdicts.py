"""Verdicts on claims: margins, seeds, noise and settings."""

import re

import pytest
from tests.report.workplace import CLAIM, TOP1

from dyadic.report.data.verdicts import matches


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


def test_a_run_that_fits_two_arms_is_an_error(workplace, capsys):
    workplace.run("largest", 0, 91.0)
    workplace.write(CLAIM | {"arms": CLAIM["arms"] | {"anything": {"runs": {}}}})
    assert workplace.claims() == 2
    assert "fits anything and largest; their `runs` must tell" in capsys.readouterr().err


def test_missing_values_are_null_and_others_must_be_equal():
    config = {"quantizer": {"activation": None, "weight": {"base": 2}}}
    assert matches(config, {"quantizer.activation": None, "quantizer.weight.base": 2})
    assert matches(config, {"quantizer.activation.ste": None})
    assert not matches(config, {"quantizer.weight.base": "sqrt2"})
