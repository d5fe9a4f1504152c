"""What the page says in words, held against the numbers of made-up record sets."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from dyadic.record.read import read_records
from dyadic.report.data.runs import NUMBERS, TEXTS, overview
from dyadic.report.data.seeds import ALONE, LIKE, configurations, winners
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
            "allocation": "",
        }
        | {"float_top1": 91.0 + s / 10, "top1": 91.0 + s / 10 + d / 100, "top1_drop": -d / 100}
        | {"size_mib": b / 10, "gbops": b, "integer_passed": None, "held_out": 0.0, "choices": {}}
        | dict(zip(LIKE, kind, strict=True))
        for m, b, s, d, kind in runs
    ]
    frame = pd.DataFrame(rows).reindex(columns=[*TEXTS, *NUMBERS, "integer_passed", "choices"])
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
def test_the_winner_is_the_highest_mean_and_is_called_so_only_against_another(runs: list) -> None:
    table = configurations(frame_of(runs))
    best, scores = winners(table), numbers_of(runs)
    several = {key[1:] for key in scores if sum(other[1:] == key[1:] for other in scores) > 1}
    for row in best.to_dict("records"):
        like = row["bits"], tuple(row[key] for key in LIKE)
        assert (row["verdict"] == ALONE) == (like not in several)
        top = max(values.mean() for key, values in scores.items() if key[1:] == like)
        assert scores[row["method"], *like].mean() == pytest.approx(top)
    alone = set(map(tuple, best[best.verdict == ALONE][["bits", *LIKE]].to_numpy()))
    assert alone == {(bits, *kind) for _, bits, kind in scores if (bits, kind) not in several}


def settings_of(runs: Path) -> list[dict]:
    frame = overview(read_records(runs))
    return page.settings(frame, configurations(frame))


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
