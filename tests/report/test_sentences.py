"""What the page says in words, held against the numbers of made-up record sets."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dyadic.record.read import read_records
from dyadic.report.dashboard import write_dashboard
from dyadic.report.data.runs import NUMBERS, TEXTS, overview
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
        | {"size_mib": b / 10, "gbops": b, "integer_passed": None, "held_out": 0.0, "recipe": {}}
        for m, b, s, d in runs
    ]
    frame = pd.DataFrame(rows).reindex(columns=[*TEXTS, *NUMBERS, "integer_passed", "recipe"])
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
        method, bits = re.search(r"float; (\w+) at (\d) bits comes nearest", said).groups()
        assert means[method, float(bits)] == pytest.approx(min(means.values()))


def settings_of(runs: Path) -> list[dict]:
    records = read_records(runs)
    frame = overview(records)
    return page.settings(frame, configurations(frame), records)


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
    first, second = settings_of(tmp_path)
    assert first["title"] == "resnet20 on fashion_mnist"
    assert first["headline"][0].startswith("At 4 bits ")
    assert second["headline"][0] == "No two methods have run at the same width; log2 at 4 bits."


@pytest.fixture(scope="module")
def shown(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the made-up runs and made-up verdicts, one run of them damaged."""
    root = tmp_path_factory.mktemp("said")
    shutil.copytree(runs, root / "runs")
    damaged = sorted((root / "runs").glob("log2-*"))[0] / "summary.json"
    damaged.write_text(damaged.read_text().replace("99.71", "Infinity"))
    for path, wrong in zip(sorted((root / "runs").glob("inq-5*")), (3, 0, 1), strict=True):
        summary = json.loads((path / "summary.json").read_text())
        summary["integer"]["mismatched_logits"] = wrong
        (path / "summary.json").write_text(json.dumps(summary))
    tried = [(0.0, (1.0, 1.1, 0.9, 1.0, 1.2)), (1.0, (-1.0, -1.1, -0.9, -1.0, -1.2))]
    tried += [(0.0, (1.0, -1.0, 0.5, -0.4, 0.1)), (0.0, (1.0, 2.0)), (0.5, ())]
    said = {"paper": "inq", "table": "Table 3", "network": "resnet8", "dataset": "x"}
    claims = [
        said
        | {"experiment": f"x{k % 2}", "claim": f"{k}", "margin": margin, "hardware": "cpu"}
        | {"differences": " ".join(f"{seed}:{margin + d}" for seed, d in enumerate(differences))}
        | {"seeds": len(differences)}
        for k, (margin, differences) in enumerate(tried)
    ]
    (root / "tables").mkdir()
    pd.DataFrame(claims).to_csv(root / "tables" / "claims.csv", index=False)
    write_dashboard(root / "runs", root / "page.html", root, root / "tables")
    return (root / "page.html").read_text()


def texts_of(page: str, name: str) -> list[list[str]]:
    """The cells of a table of the page."""
    body = page.partition(f'aria-label="{name}"')[2].partition("</table>")[0]
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in body.split("<tr>")]
    return [[re.sub("<[^>]+>", "", cell).strip() for cell in row] for row in cells[1:]]


def test_counts_are_those_of_the_table_of_runs(shown: str) -> None:
    counts = dict(re.findall(r"<dt>(\w+)</dt><dd>(\d+)</dd>", shown))
    rows = texts_of(shown, "Table of runs")[1:]
    said = [row[9] for row in rows]
    assert int(counts["done"]) == sum(text in ("equal", "differ") for text in said)
    assert int(counts["broken"]) == sum(text.startswith("broken") for text in said) == 1
    assert int(counts["running"]) == sum(text.startswith("running") for text in said) == 1
    assert len(texts_of(shown, "Failed and broken runs")) == 2
    differ = said.count("differ")
    assert differ == 2
    assert f"Integers differ in {differ} of {counts['done']} runs." in shown
    summaries = re.findall(r'<p class="sub">(\d+) finished runs?, (\d+) seeds?,', shown)
    assert sum(int(runs) for runs, _ in summaries) == int(counts["done"])
    details = re.search(r"(\d+) of (\d+) runs: those in progress", shown)
    assert int(details[1]) == shown.count('<details id="run-')
    assert int(details[2]) == len(rows)


def test_verdicts_are_counted_as_their_tables_say(shown: str) -> None:
    head, (paper, *counts) = texts_of(shown, "Claims by paper")
    board = dict(zip(head[1:], map(int, counts), strict=True))
    assert (paper, board.pop("most seeds")) == ("inq", 5)
    assert board == dict.fromkeys(
        ["held", "did not hold", "undecided", "too few seeds", "not run"], 1
    )
    found = dict.fromkeys(board, 0)
    for experiment in ("x0", "x1"):
        rows, own = texts_of(shown, f"Verdicts of {experiment}")[1:], dict.fromkeys(board, 0)
        for row in rows:
            kind = next(kind for kind in board if row[1].startswith(kind))
            own[kind] += 1
            found[kind] += 1
            ends = [float(end.replace("\u2212", "-")) for end in row[4].split(" to ") if end]
            margin = {"1": 1.0, "4": 0.5}.get(row[0], 0.0)
            assert (kind == "held") == (len(ends) == 2 and row[5] == "5" and ends[0] >= margin)
            assert (kind == "did not hold") == (len(ends) == 2 and ends[1] < margin)
        words = ", ".join(f"{count} {kind}" for kind, count in own.items() if count)
        assert f"{experiment}: Table 3; {words}</h4>" in shown
    assert found == board


def test_titles_say_what_tells_settings_apart(make_run, tmp_path: Path) -> None:
    for seed, (threads, share) in enumerate([(1, 1.0), (2, 1.0), (2, 0.5)]):
        path = make_run(tmp_path, "inq", 4, seed)
        config = {"bits": 4, "seed": seed, "dataset": {"train_share": share}}
        config["trainer"] = {"hardware": {"threads": threads}, "baseline": {"epochs": 3}}
        (path / "config.yaml").write_text(yaml.safe_dump(config))
        summary = json.loads((path / "summary.json").read_text())
        (path / "summary.json").write_text(json.dumps(summary | {"hardware": f"{threads} threads"}))
    titles = {item["title"] for item in settings_of(tmp_path)}
    assert len(titles) == 3
    assert all("threads" in title and "train_share" in title for title in titles)
