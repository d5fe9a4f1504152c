"""What the page says in words, held against the numbers of made-up record sets."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dyadic.record.read import read_records
from dyadic.report.data.runs import NUMBERS, TEXTS
from dyadic.report.data.seeds import configurations
from dyadic.report.data.winners import ALONE, comparable, winners
from dyadic.report.page import overview as page

METHODS = ("inq", "log2", "uniform")
runs_strategy = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        st.sampled_from([3.0, 4.0, 6.0]),
        st.integers(0, 6),
        st.integers(-200, 60),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda run: run[:3],
)


def frame_of(runs: list[tuple[str, float, int, int]]) -> pd.DataFrame:
    """An overview of finished runs of one setting: (method, bits, seed, points/100 to float)."""
    rows = [
        {"name": f"{m}-{b:g}-{s}", "method": m, "bits": b, "seed": float(s), "status": "done"}
        | {"dataset": "fashion_mnist", "model": "resnet8", "hardware": "cpu", "float_network": "a"}
        | {"configuration": f"{m}{b:g}", "weight": m, "activation": "float", "allocation": "fixed"}
        | {"float_top1": 91.0 + s / 10, "top1": 91.0 + s / 10 + d / 100, "top1_drop": -d / 100}
        | {"size_mib": b / 10, "gbops": b, "integer_passed": None, "held_out": 0.0}
        for m, b, s, d in runs
    ]
    frame = pd.DataFrame(rows).reindex(columns=[*TEXTS, *NUMBERS, "integer_passed"])
    return frame.assign(
        **{name: frame[name].astype(object).where(frame[name].notna(), "") for name in TEXTS}
    )


def numbers_of(runs: list[tuple[str, float, int, int]]) -> dict[tuple[str, float], pd.Series]:
    """Top-1 by seed, per method and width, worked out without the page."""
    found: dict[tuple[str, float], dict[int, float]] = {}
    for method, bits, seed, points in runs:
        found.setdefault((method, bits), {})[seed] = 91.0 + seed / 10 + points / 100
    return {key: pd.Series(values) for key, values in found.items()}


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_strategy)
def test_the_headline_says_what_the_numbers_say(runs: list) -> None:
    scores = numbers_of(runs)
    widths = {bits: [m for m, b in scores if b == bits] for _, bits in scores}
    said, more = page.headline(winners(configurations(frame_of(runs))))
    most = max(len(methods) for methods in widths.values())
    if most == 1:
        assert said.startswith("No two methods have run at the same width")
        assert "ahead" not in said + more
        return
    bits = float(re.search(r"^At (\d) bits", said)[1])
    assert len(widths[bits]) == most
    means = {m: scores[m, bits].mean() for m in widths[bits]}
    method = re.match(r"(\w+): (\d+\.\d\d)", more)
    assert means[method[1]] == pytest.approx(max(means.values()))
    assert float(method[2]) == pytest.approx(means[method[1]], abs=0.0051)
    assert f"{most} methods at this width" in more
    assert f"on {len(scores[method[1], bits])} seed" in more
    ahead = re.search(r"(\w+) is ahead of (\w+) by (\d+\.\d\d) points", said)
    paired = re.search(r"(\d+) paired seeds?", more)
    if ahead:
        difference = (scores[ahead[1], bits] - scores[ahead[2], bits]).dropna()
        assert len(difference) == int(paired[1]) >= 5
        assert float(ahead[3]) == pytest.approx(difference.mean(), abs=0.0051)
        assert difference.mean() > difference.std() / 3
    elif int(paired[1]) < 5:
        assert "too few seeds" in said


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_strategy)
def test_no_method_is_highest_where_it_is_alone(runs: list) -> None:
    table = configurations(frame_of(runs))
    best, scores = winners(table), numbers_of(runs)
    title = page._highest(best)
    said = re.match(r"(\w+) has the highest mean top-1 at (.*) bits", title)
    contested = {b for _, b in scores if sum(width == b for _, width in scores) > 1}
    assert (said is None) == (not contested)
    for bits in map(float, re.findall(r"\d", said[2]) if said else []):
        assert bits in contested
        top = max((values.mean(), m) for (m, b), values in scores.items() if b == bits)
        assert scores[said[1], bits].mean() == pytest.approx(top[0])
    alone = set(best.bits[best.verdict == ALONE])
    assert alone == {b for _, b in scores} - contested
    assert len(comparable(table)) == len(table)


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_strategy)
def test_the_cheapest_close_run_is_the_cheapest_and_close(runs: list) -> None:
    table = configurations(frame_of(runs))
    said = page._cheapest(table, "gbops", "GBOPS")
    means = {
        key: (91 - values + values.index / 10).mean() for key, values in numbers_of(runs).items()
    }
    close = {key: drop for key, drop in means.items() if drop <= 1 + 1e-9}
    found = re.match(r"(\w+) at (\d) bits is within 1 point .* on (\d) seed", said)
    assert (found is None) == (not close)
    if found:
        key = found[1], float(found[2])
        assert key in close
        assert key[1] == min(bits for _, bits in close)
        assert int(found[3]) == len(numbers_of(runs)[key])
    else:
        method, bits = re.search(r"float; (\w+), (\d) bits", said).groups()
        assert means[method, float(bits)] == pytest.approx(min(means.values()))


def test_the_setting_with_the_most_evidence_speaks_first(make_run, tmp_path: Path) -> None:
    for seed in range(3):
        for method in ("inq", "uniform"):
            make_run(tmp_path, method, 4, seed)
    for bits in (2, 3, 4, 5):
        for seed in range(3):
            path = make_run(tmp_path / "x", "log2", bits, seed)
            summary = json.loads((path / "summary.json").read_text()) | {"model": "resnet8"}
            (path / "summary.json").write_text(json.dumps(summary))
            path.rename(tmp_path / f"other-{path.name}")
    first, second = page.settings(read_records(tmp_path))
    assert first["title"] == "resnet20 on fashion_mnist"
    assert first["headline"][0].startswith("At 4 bits ")
    assert second["headline"][0] == "No two methods have run at the same width; log2 at 4 bits."
