"""`python -m dyadic latency`: a run's layers timed here, and what the ILP makes of it."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from tests.runs import ROOT, TINY, configuration

from dyadic.__main__ import main
from dyadic.allocation import LatencyTable, LayerCost
from dyadic.commands.build import run
from dyadic.commands.pareto import pareto
from dyadic.errors import UserError
from dyadic.integer.engines.compiled import CompiledEngine
from dyadic.integer.program.files import load_proof

HAWQ = ("method=hawq_v3", "schedule=none", "bits=8")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny run's folder, and the latency table that the command wrote for it."""
    results = tmp_path_factory.mktemp("results")
    folder = results / "runs" / run(configuration(results, *HAWQ))["name"]
    assert main(["latency", str(folder), "--out", str(results / "latency.csv")]) == 0
    return folder, results / "latency.csv"


def test_every_layer_of_the_network_is_timed_at_every_pair_of_widths(measured) -> None:
    folder, path = measured
    table = LatencyTable.read(path)
    with (folder / "layers.csv").open(newline="") as file:
        layers = [
            LayerCost(row["layer"], int(row["parameters"]), int(row["macs"]))
            for row in csv.DictReader(file)
        ]
    assert len(table.rows) == 4 * len(layers) == 40
    for layer in layers:
        for bits in ((4, 4), (4, 8), (8, 4), (8, 8)):
            assert table.milliseconds(layer, bits) > 0
    assert "kernels, 1 thread, 8 images at once" in table.device


def test_a_record_says_how_each_layer_is_computed(measured) -> None:
    engine = CompiledEngine(load_proof(measured[0]))
    with (measured[0] / "layers.csv").open(newline="") as file:
        named = {row["layer"]: row["algorithm"] for row in csv.DictReader(file)}
    assert named == engine.algorithms


def test_the_ilp_keeps_the_wider_one_where_no_width_is_faster(measured, tmp_path: Path) -> None:
    table = LatencyTable.read(measured[1])
    rows = [replace(row, faster=row.bits == (8, 8)) for row in table.rows]
    LatencyTable(table.device, rows).write(tmp_path / "none_faster.csv")
    own = ("measure=latency", "points=2", "random=0")
    own += (f"allocation.latency_table={tmp_path / 'none_faster.csv'}", f"results_dir={tmp_path}")
    pareto([*TINY, "method=hawq_v3", "sensitivity=sqnr", *own])
    (written,) = (tmp_path / "pareto").glob("*.csv")
    with written.open(newline="") as file:
        solved = [row for row in csv.DictReader(file) if row["source"] == "ilp"]
    widths = [
        {v for k, v in row.items() if k.startswith(("conv", "layer", "fc"))} for row in solved
    ]
    assert widths == [{"8/8"}, {"8/8"}]


def test_a_table_of_another_network_is_one_line(
    measured,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, path = measured
    monkeypatch.chdir(ROOT)
    other = ("model.width=4", "measure=latency", f"allocation.latency_table={path}")
    kept = [choice for choice in TINY if not choice.startswith("model.width")]
    code = main(["pareto", *kept, *other, "method=hawq_v3", f"results_dir={tmp_path}"])
    error = capsys.readouterr().err
    assert code == 2
    assert error.startswith("error: the latency table of ")
    assert "is of another network: it has no layer conv1 of 36 weights" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("threads", "says"), [(0, "threads=0"), (-1, "at least 1")])
def test_threads_are_at_least_one(measured, threads: int, says: str) -> None:
    from dyadic.commands.latency import measure_run

    with pytest.raises(UserError, match=says):
        measure_run(measured[0], None, threads)


def test_a_folder_without_a_program_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
