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
from dyadic.report.data.winners import ALONE, LIKE, comparable, winners
from dyadic.report.page import overview as page

METHODS = ("inq", "log2", "uniform")
KINDS = [("float", 0.0), ("float", 4.0), ("4", 0.0)]  # activations, epochs
runs_strategy = st.lists(
    st.tuples(
        st.sampled_from(METHODS),
        st.sampled_from([3.0, 4.0, 6.0]),
        st.integers(0, 6),
        st.integers(-200, 60),
        st.sampled_from(KINDS),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda run: run[:3],
)
Run = tuple[str, float, int, int, tuple[str, float]]
Key = tuple[str, float, tuple[str, float]]


def frame_of(runs: list[Run]) -> pd.DataFrame:
    """Finished runs of one setting: (method, bits, seed, points/100 to float, kind)."""
    rows = [
        {"name": f"{m}-{b:g}-{s}", "method": m, "bits": b, "seed": float(s), "status": "done"}
        | {"dataset": "fashion_mnist", "model": "resnet8", "hardware": "cpu", "float_network": "a"}
        | {
            "configuration": f"{m}{b:g}{kind}",
            "weight": m,
            "activation": "float",
            "allocation": "fixed",
        }
        | {"float_top1": 91.0 + s / 10, "top1": 91.0 + s / 10 + d / 100, "top1_drop": -d / 100}
        | {"size_mib": b / 10, "gbops": b, "integer_passed": None, "held_out": 0.0, "recipe": {}}
        | dict(zip(LIKE, kind, strict=True))
        for m, b, s, d, kind in runs
    ]
    frame = pd.DataFrame(rows).reindex(columns=[*TEXTS, *NUMBERS, "integer_passed", "recipe"])
    return frame.assign(
        **{name: frame[name].astype(object).where(frame[name].notna(), "") for name in TEXTS}
    )


def numbers_of(runs: list[Run]) -> dict[Key, pd.Series]:
    """Top-1 by seed, per method, width and kind, worked out without the page."""
    found: dict[Key, dict[int, float]] = {}
    for method, bits, seed, points, kind in runs:
        found.setdefault((method, bits, kind), {})[seed] = 91.0 + seed / 10 + points / 100
    return {key: pd.Series(values) for key, values in found.items()}


def kind_in(words: str) -> tuple[str, float]:
    """The activations and the epochs that a sentence names."""
    (kind,) = [kind for kind in KINDS if SAID[kind] in words]
    return kind


SAID = {
    ("float", 0.0): "with float activations and no training",
    ("float", 4.0): "with float activations and 4 epochs of training",
    ("4", 0.0): "with 4-bit activations and no training",
}


@profile(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_strategy)
def test_the_headline_says_what_the_numbers_say(runs: list) -> None:
    scores = numbers_of(runs)
    alike = {key[1:]: [m for m, *like in scores if tuple(like) == key[1:]] for key in scores}
    said, more = page.headline(winners(configurations(frame_of(runs))))
    most = max(len(methods) for methods in alike.values())
    if most == 1:
        assert said.startswith("No two methods have run at the same width and training")
        assert "ahead" not in said + more
        return
    like = float(re.search(r"^At (\d) bits", said)[1]), kind_in(more)
    assert len(alike[like]) == most
    means = {m: scores[m, *like].mean() for m in alike[like]}
    method = re.match(r"(\w+) with .*?: (\d+\.\d\d)", more)
    assert means[method[1]] == pytest.approx(max(means.values()))
    assert float(method[2]) == pytest.approx(means[method[1]], abs=0.0051)
    assert f"{most} methods compared" in more
    assert f"on {len(scores[method[1], *like])} seed" in more
    ahead = re.search(r"(\w+) is ahead of (\w+) by (\d+\.\d\d) points", said)
    paired = re.search(r"(\d+) paired seeds?", more)
    if ahead:
        difference = (scores[ahead[1], *like] - scores[ahead[2], *like]).dropna()
        assert len(difference) == int(paired[1]) >= 5
        assert float(ahead[3]) == pytest.approx(difference.mean(), abs=0.0051)
        assert difference.mean() > difference.std() / 3
    elif int(paired[1]) < 5:
        assert "too few seeds" in said


def test_a_trained_method_is_not_compared_with_one_that_is_not() -> None:
    runs = [("inq", 4.0, seed, 0, ("float", 4.0)) for seed in range(5)]
    runs += [("log2", 4.0, seed, -300, ("float", 0.0)) for seed in range(5)]
    runs += [("uniform", 4.0, seed, -100, ("4", 0.0)) for seed in range(5)]
    best = winners(configurations(frame_of(runs)))
    assert page.headline(best)[0].startswith("No two methods have run at the same width and")
    assert list(best.verdict) == ["only method at this width and training"] * 3
    best = winners(configurations(frame_of([*runs, *[("log2", *run[1:]) for run in runs[:5]]])))
    assert "equal" in set(best.verdict)


@profile(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs_strategy)
def test_no_method_is_highest_where_it_is_alone(runs: list) -> None:
    table = configurations(frame_of(runs))
    best, scores = winners(table), numbers_of(runs)
    title = page._highest(best)
    said = re.match(r"(\w+) has the highest mean top-1 at ([\d, ]+) bits", title)
    several = {key[1:] for key in scores if sum(other[1:] == key[1:] for other in scores) > 1}
    assert (said is None) == (not several)
    for bits in map(float, re.findall(r"\d", said[2]) if said else []):
        like = bits, kind_in(title)
        assert like in several
        top = max(values.mean() for key, values in scores.items() if key[1:] == like)
        assert scores[said[1], *like].mean() == pytest.approx(top)
    alone = set(map(tuple, best[best.verdict == ALONE][["bits", *LIKE]].to_numpy()))
    assert alone == {(bits, *kind) for _, bits, kind in scores if (bits, kind) not in several}
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
    found = re.match(r"(\w+) at (\d) bits with .* is within 1 point .* on (\d) seed", said)
    assert (found is None) == (not close)
    if found:
        key = found[1], float(found[2]), kind_in(said)
        assert key in close
        assert key[1] == min(bits for _, bits, _ in close)
        assert int(found[3]) == len(numbers_of(runs)[key])
    else:
        method, bits = re.search(r"float; (\w+) at (\d) bits with .* comes nearest", said).groups()
        assert means[method, float(bits), kind_in(said)] == pytest.approx(min(means.values()))


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
    words = "No two methods have run at the same width and training; log2 at 4 bits."
    assert second["headline"][0] == words


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
