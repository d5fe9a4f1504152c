import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dyadic.record.read import read_records
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import (
    ALONE,
    UNSHARED,
    Paired,
    configurations,
    holm,
    not_collapsed,
    winners,
)


@pytest.fixture(scope="module")
def frame(runs: Path) -> pd.DataFrame:
    return overview(read_records(runs))


def test_mean_and_deviation_are_those_of_the_seeds(frame: pd.DataFrame) -> None:
    table = configurations(frame)
    row = table[(table.method == "inq") & (table.bits == 4)].iloc[0]
    scores = frame[(frame.method == "inq") & (frame.bits == 4)].top1
    assert row.seeds == 3
    assert row.top1 == np.mean(scores)
    assert row.top1_sd == pytest.approx(np.std(scores, ddof=1))


def test_draws_with_one_seed_count_as_their_mean(frame: pd.DataFrame) -> None:
    runs = frame[(frame.method == "inq") & (frame.bits == 4)].head(3).copy()
    runs["seed"], runs["top1"] = [0, 0, 1], [90.0, 92.0, 93.0]
    (row,) = configurations(runs).to_dict("records")
    assert (row["seeds"], row["top1"]) == (2, 92.0)
    assert row["top1_sd"] == pytest.approx(2**0.5)


def test_unfinished_runs_do_not_count(frame: pd.DataFrame) -> None:
    assert configurations(frame).seeds.sum() == (frame.status == "done").sum()


def test_a_row_names_its_last_run(frame: pd.DataFrame) -> None:
    two = frame[(frame.method == "inq") & (frame.bits == 4)].head(2).copy()
    two["configuration"] = ["aaaa", "bbbb"]
    assert sorted(configurations(two).name) == sorted(two.name)
    two["configuration"] = "aaaa"
    assert configurations(two).name.tolist() == [two.name.iloc[-1]]


def test_the_winner_is_the_best_mean_and_the_lead_is_over_another_method(
    frame: pd.DataFrame,
) -> None:
    table = configurations(frame)
    for row in winners(table).to_dict("records"):
        means = table[table.bits == row["bits"]].set_index("method").top1
        ranked = means.sort_values(ascending=False)
        assert row["method"] == ranked.index[0]
        assert row["second"] == ranked.index[1]
        both = table[table.bits == row["bits"]].set_index("method").by_seed
        seeds = both[row["method"]].index.intersection(both[row["second"]].index)
        lead = (both[row["method"]] - both[row["second"]])[seeds].mean()
        assert row["pair"].mean == pytest.approx(lead)


def test_one_seed_has_no_verdict(frame: pd.DataFrame) -> None:
    single = frame[frame.seed == 0]
    assert set(winners(configurations(single)).verdict) == {"too few seeds (1 of 5)"}
    alone = single[single.method == "inq"]
    assert set(winners(configurations(alone)).verdict) == {ALONE}


def test_mixed_widths_win_at_no_width(runs: Path, make_run, tmp_path: Path) -> None:
    make_run(tmp_path, "inq", 4, 0)
    best = make_run(tmp_path, "uniform", 4, 0)
    summary = json.loads((best / "summary.json").read_text())
    summary |= {"allocation": "Cbc", "mean_bits": 5.5, "top1": 99.0}
    (best / "summary.json").write_text(json.dumps(summary))
    table = configurations(overview(read_records(tmp_path)))
    assert table.mean_bits.dropna().tolist() == [5.5]
    (row,) = winners(table).to_dict("records")
    assert (row["method"], row["verdict"]) == ("inq", ALONE)


def test_float_weights_win_at_no_width(frame: pd.DataFrame) -> None:
    four = frame[(frame.bits == 4) & frame.method.isin(["inq", "uniform"])].copy()
    four.loc[four.method == "uniform", ["weight", "top1"]] = ["float", 99.0]
    assert list(winners(configurations(four)).method) == ["inq"]


def test_other_quantizers_of_weights_are_other_methods(frame: pd.DataFrame) -> None:
    three = frame[(frame.method == "inq") & (frame.bits == 4)].head(3).copy()
    three["configuration"] = ["aaaa", "bbbb", "cccc"]
    weights = "quantizer.weight._target_", "quantizer.weight.base"
    values = [("q.Logarithmic", 2), ("q.Logarithmic", "sqrt2"), ("q.Uniform", None)]
    three["choices"] = [dict(zip(weights, value, strict=True)) for value in values]
    names = {"inq (Logarithmic 2)", "inq (Logarithmic sqrt2)", "inq (Uniform)"}
    assert set(configurations(three).method) == names


def test_a_network_mostly_in_float_wins_at_no_width(frame: pd.DataFrame) -> None:
    four = frame[(frame.bits == 4) & frame.method.isin(["inq", "uniform"])].copy()
    four.loc[four.method == "uniform", ["mean_bits", "top1"]] = [31.0, 99.0]
    assert list(winners(configurations(four)).method) == ["inq"]


@pytest.mark.parametrize("fact", ["hardware", "float_network"])
def test_runs_on_other_hardware_or_another_float_network_are_not_compared(
    frame: pd.DataFrame, fact: str
) -> None:
    four = frame[(frame.bits == 4) & frame.method.isin(["inq", "uniform"])].copy()
    four.loc[four.method == "inq", fact] = "other"
    found = winners(configurations(four))
    assert set(found.verdict) == {ALONE}
    assert sorted(found.method) == ["inq", "uniform"]


def test_only_a_collapse_is_left_out_of_a_chart() -> None:
    table = pd.DataFrame({"top1": [92.0, 91.5, 91.0, 10.0]})
    shown, words = not_collapsed(table)
    assert shown.top1.tolist() == [92.0, 91.5, 91.0]
    assert re.fullmatch(r" 1 value below \d\d % not drawn\.", words)
    assert not_collapsed(shown)[1] == ""
    assert len(not_collapsed(shown)[0]) == 3


samples = st.lists(st.integers(-300, 300).map(lambda x: x / 100), min_size=5, max_size=12)


@given(samples, st.integers(-200, 200).map(lambda x: x / 100))
def test_a_verdict_is_students_interval_against_the_margin(
    values: list[float], margin: float
) -> None:
    pair = Paired(tuple(values), margin)
    if pair.sd < 1e-9:
        return
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert pair.low == pytest.approx(low)
    assert pair.high == pytest.approx(high)
    assert pair.p == pytest.approx(stats.ttest_1samp(values, margin).pvalue)
    if abs(pair.p - 0.05) > 1e-9:
        assert (pair.verdict == "undecided") == (pair.p > 0.05)
    if pair.verdict == "held":
        assert pair.mean > margin
    if needed := re.search(r"about (\d+) seeds", pair.words()):
        assert int(needed[1]) > len(values)


@given(st.lists(st.floats(-3, 3), max_size=4))
def test_fewer_than_five_seeds_decide_nothing(values: list[float]) -> None:
    assert Paired(tuple(values)).verdict in ("not run", "too few seeds")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_monotone_and_rejects_no_more_than_each_alone(values: list[float]) -> None:
    p = pd.Series(values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert corrected[p.sort_values().index].is_monotonic_increasing
    assert corrected.min() == min(1.0, len(values) * min(values))


def test_pairs_are_those_of_the_seeds_that_both_have() -> None:
    better, worse = pd.Series({0: 92.0, 1: 93.0, 3: 94.0}), pd.Series({1: 92.5, 2: 90.0, 3: 94.5})
    pair = Paired(better - worse)
    assert pair.differences.to_dict() == {1: 0.5, 3: -0.5}


def test_methods_without_a_common_seed_are_not_compared(frame: pd.DataFrame) -> None:
    four = frame[(frame.bits == 4) & frame.method.isin(["inq", "uniform"])].copy()
    four.loc[four.method == "inq", "seed"] += 10
    assert list(winners(configurations(four)).verdict) == [UNSHARED]


def test_a_lucky_single_seed_does_not_stand_for_a_method(frame: pd.DataFrame) -> None:
    one = frame[(frame.method == "inq") & (frame.bits == 4)].head(1)
    runs = pd.concat([one] * 6, ignore_index=True)
    runs["seed"], runs["top1"] = [0, 1, 2, 3, 4, 0], [90.0] * 5 + [99.0]
    runs["configuration"] = ["many"] * 5 + ["lucky"]
    (row,) = winners(configurations(runs)).to_dict("records")
    assert (row["configuration"], row["top1"], row["seeds"]) == ("many", 90.0, 5)
