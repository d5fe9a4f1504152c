import json
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from dyadic.record.identity import float_choices, identify
from dyadic.record.read import read_records
from dyadic.report.dashboard import write_dashboard
from dyadic.report.fronts import (
    advantage,
    layers_of,
    omega_figure,
    read_fronts,
    scored,
)

WIDTHS = {0.0: ("4/4", "4/4"), 0.5: ("8/8", "4/4"), 1.0: ("8/8", "8/8")}


CONFIG = "dataset:\n  name: fashion_mnist\n  holdout: 0\ntrainer:\n  baseline:\n    epochs: 3\n"


def network_of(config: str) -> str:
    choices = yaml.safe_load(config)
    return identify(choices, float_choices(choices, ""))["network"]


def front_frame() -> pd.DataFrame:
    """Two layers: three budgets by the ILP, two random allocations of the middle, two uniform."""
    ilp = [("ilp", share, None, 0.1 ** (1 + 2 * share), *WIDTHS[share]) for share in WIDTHS]
    blind = [("random", 0.5, 0, 0.05, "4/4", "8/8"), ("random", 0.5, 1, 0.03, "8/8", "4/4")]
    uniform = [
        ("uniform", None, None, 0.1, "4/4", "4/4"),
        ("uniform", None, None, 1e-3, "8/8", "8/8"),
    ]
    columns = ["source", "share", "fill_seed", "omega", "body.conv1", "body.fc"]
    frame = pd.DataFrame([*ilp, *blind, *uniform], columns=columns)
    cost = {"4/4": 1.0, "8/8": 4.0}
    frame["gbops"] = frame["body.conv1"].map(cost) + frame["body.fc"].map(cost)
    frame["size_mib"] = frame.gbops / 4
    facts = {"dataset": "fashion_mnist", "model": "resnet20", "method": "hawq_v3"}
    facts |= {"sensitivity": "hessiantrace", "float_seed": "s0", "measure": "gbops"}
    facts["float_network"] = network_of(CONFIG)
    return frame.assign(**facts, budget=frame.gbops, proven=True)


def train(
    runs: Path, name: str, widths: tuple[str, str], top1: float, config=CONFIG, **facts: object
) -> None:
    """A finished run with these widths."""
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    bits = [width.split("/") for width in widths]
    lines = [f"body.{n},{w},{a}" for n, (w, a) in zip(("conv1", "fc"), bits, strict=True)]
    (folder / "layers.csv").write_text(
        "layer,weight_bits,activation_bits\n" + "\n".join(lines) + "\n"
    )
    summary = {"dataset": "fashion_mnist", "model": "resnet20", "method": "hawq_v3", "top1": top1}
    summary["seed"] = int(name[-1]) if name[-1].isdigit() else 0
    (folder / "summary.json").write_text(json.dumps(summary | {"status": "done"} | facts))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    train(runs, "half-s0", WIDTHS[0.5], 92.0)
    train(runs, "half-s1", WIDTHS[0.5], 93.0)
    train(runs, "low", WIDTHS[0.0], 90.0)
    train(runs, "blind", ("4/4", "8/8"), 91.0)
    train(runs, "other-net", WIDTHS[1.0], 99.0, model="resnet8")
    train(runs, "other-float", WIDTHS[0.0], 99.0, CONFIG.replace("holdout: 0", "holdout: 9"))
    train(runs, "other-widths", ("8/4", "8/8"), 99.0)
    return runs


def test_runs_join_the_allocation_that_they_trained(runs: Path) -> None:
    front = scored(front_frame(), read_records(runs))
    assert layers_of(front) == ["body.conv1", "body.fc"]
    ilp = front[front.source == "ilp"]
    assert ilp.runs.tolist() == [1, 2, 0]
    assert ilp.top1.tolist()[:2] == [90.0, 92.5]
    assert ilp.top1_sd.iloc[1] == pytest.approx(0.7071, abs=1e-4)
    assert front.top1.max() < 99


def test_ways_of_training_are_not_mixed(runs: Path) -> None:
    tuned = {"schedule": "FreezeThenFold", "epochs": {"quantize": 1}}
    train(runs, "half-tuned", WIDTHS[0.5], 95.0, **tuned)
    front = scored(front_frame(), read_records(runs))
    assert set(front.training) == {"without training"}  # of most runs
    assert front.top1.tolist()[:2] == [90.0, 92.5]


def test_joining_again_changes_nothing(runs: Path) -> None:
    once = scored(front_frame(), read_records(runs))
    pd.testing.assert_frame_equal(scored(once, read_records(runs)), once)


def test_a_front_is_read_as_it_was_written_and_other_tables_are_not(tmp_path: Path) -> None:
    front_frame().to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv").write_text("x,y\n1,2\n")
    read = read_fronts(tmp_path)
    assert len(read) == 1
    assert layers_of(read[0]) == ["body.conv1", "body.fc"]


def test_the_advantage_is_over_the_median_random_allocation() -> None:
    front = front_frame()
    assert advantage(front) == (0.5, pytest.approx(0.04 / 0.01))
    assert advantage(front[front.source != "random"]) is None


def test_the_front_is_drawn_with_every_source_and_says_what_it_found(runs: Path) -> None:
    front = scored(front_frame(), read_records(runs))
    omega = omega_figure(front)
    assert omega.title == "At 50 % random widths do 4.0 times the ILP's harm"
    points = omega.data["points"]
    assert set(points["series"]) == {"ilp", "random", "uniform"}
    assert list(points["weight"]).count(0.4) == 2  # random ones are faint
    said = json.dumps(omega.declared)
    assert '"type": "log"' in said
    # A logarithmic axis knows no zero: Vega would complain on the console
    assert not re.search(r'"zero"[^{}]*"log"|"log"[^{}]*"zero"', said)
    assert "top-1 92.50 ± 0.71 %, 2 runs" in " ".join(points["says"])


def test_harm_of_zero_is_drawn_on_a_linear_axis() -> None:
    front = front_frame().assign(runs=0)
    front.loc[0, "omega"] = 0.0
    assert '"type": "log"' not in json.dumps(omega_figure(front).declared)


def test_without_trained_allocations_there_is_no_accuracy() -> None:
    front = scored(front_frame(), [])
    assert set(front.runs) == {0}
    assert "top-1" not in " ".join(omega_figure(front).data["points"]["says"])


def test_the_page_shows_the_fronts_beside_its_runs(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "pareto").mkdir()
    front_frame().to_csv(tmp_path / "pareto" / "a.csv", index=False)
    write_dashboard(runs, tmp_path / "page.html", tmp_path)
    page = (tmp_path / "page.html").read_text()
    section = page.partition('id="fronts"')[2].partition("</section>")[0]
    assert "resnet20 on fashion_mnist, hawq_v3" in section
    assert section.count("data-chart") == 1
