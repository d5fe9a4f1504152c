"""What a run leaves for W&B and TensorBoard, read back from their own files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hydra.types import RunMode
from pytorch_lightning.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.runs import TINY, rows_of

from dyadic.commands.build import run
from dyadic.commands.run import composed
from dyadic.errors import UserError
from dyadic.run.tracker import Guarded, Results, log_record

# Three batches an epoch are fewer than Lightning likes to log.
pytestmark = pytest.mark.filterwarnings("ignore:The number of training batches")
CHOICES = [c for c in TINY if not c.startswith("logger=")]
CHOICES += ["method=inq", "schedule.portions=[0.5,1.0]"]
QUIET = {"WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB_X_DISABLE_STATS": "true"}


def finished(results: Path, logger: str) -> tuple[Path, dict[str, Any]]:
    """A finished run's folder and summary."""
    summary = run(composed([*CHOICES, f"logger={logger}", f"results_dir={results}"]))
    return results / "runs" / summary["name"], summary


class Offline:
    """The records of an offline W&B run, as `wandb leet inspect` reads them."""

    def __init__(self, folder: Path) -> None:
        (self.place,) = (folder / "wandb").glob("offline-run-*")
        (log,) = self.place.glob("*.wandb")
        command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json"]
        done = subprocess.run([*command, str(log)], capture_output=True, text=True, check=True)
        self.records = [json.loads(line) for line in done.stdout.splitlines()]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [record[kind] for record in self.records if record["type"] == kind]

    def history(self) -> dict[str, Any]:
        """Every logged value, the last of each name."""
        return {k: v for entry in self.all("history") for k, v in entry["item"].items()}

    def table(self, name: str) -> list[dict[str, Any]]:
        (path,) = self.place.glob(f"files/media/table/{name}_*.table.json")
        content = json.loads(path.read_text())
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Offline]:
    """One run with W&B offline: its folder, its summary and what W&B wrote."""
    before = {key: os.environ.get(key) for key in QUIET}
    os.environ.update(QUIET)
    try:
        folder, summary = finished(tmp_path_factory.mktemp("results"), "wandb")
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
    return folder, summary, Offline(folder)


def test_the_run_is_named_and_grouped_by_its_choices_and_closed(tracked) -> None:
    folder, _, offline = tracked
    (begun,) = offline.all("run")
    assert begun["display_name"] == folder.name
    assert begun["run_group"] == "synthetic-resnet8"
    assert begun["job_type"] == "inq"
    chosen = begun["config"]["update"]
    assert (chosen["method"], chosen["bits"], chosen["seed"]) == ("inq", 5, 0)
    assert [end["exit_code"] for end in offline.all("exit")] == [0]


def test_histograms_of_weights_and_errors_are_w_and_bs_own_with_the_records_counts(tracked) -> None:
    folder, _, offline = tracked
    arrays, logged = np.load(folder / "histograms.npz"), offline.history()
    layers = [key.removesuffix("/levels") for key in arrays if key.endswith("/levels")]
    assert len(layers) == 10
    for layer in layers:
        for kind in ("weight", "error"):
            assert logged[f"{kind}s/{layer}._type"] == "histogram"
            counts = logged[f"{kind}s/{layer}.values"]
            assert counts == arrays[f"{layer}/{kind}_counts"].tolist()


def test_tables_and_curves_hold_what_the_csv_files_hold(tracked) -> None:
    folder, _, offline = tracked
    layers = rows_of(folder / "layers.csv")
    assert [r["layer"] for r in offline.table("tables/layers")] == [r["layer"] for r in layers]
    assert [r["sqnr_db"] for r in offline.table("bars/sqnr_db_table")] == [
        float(row["sqnr_db"]) for row in layers
    ]
    history = rows_of(folder / "history.csv")
    for name in ("tables/history", "curves/top1_table"):
        logged = [row["top1"] for row in offline.table(name)]
        assert logged == [float(row["top1"]) for row in history]
    levels = offline.table("tables/levels")
    assert sum(row["layer"] == layers[0]["layer"] for row in levels) == 17


def test_the_confusion_matrix_counts_every_image(tracked) -> None:
    folder, _, offline = tracked
    matrix = np.load(folder / "histograms.npz")["confusion"]
    rows = offline.table("confusion_table")
    assert sum(row["nPredictions"] for row in rows) == matrix.sum() == 96
    counts = {(row["Actual"], row["Predicted"]): row["nPredictions"] for row in rows}
    assert counts["3", "3"] == matrix[3, 3]


def test_the_summary_holds_the_numbers_of_the_record(tracked) -> None:
    _, summary, offline = tracked
    updates: dict[str, Any] = {}
    for entry in offline.all("summary"):
        updates |= entry["update"]
    assert updates["float_top1"] == summary["float_top1"]
    assert updates["integer/mismatched_logits"] == 0
    assert updates["final_top1"] == summary["top1"]


def test_a_run_that_fails_is_closed_so_that_the_next_does_not_write_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    def fail(parts: object) -> None:
        assert parts.loggers[0].inner.experiment is wandb.run is not None  # type: ignore[attr-defined]
        raise UserError("no training today")

    for key, value in QUIET.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr("dyadic.commands.build.train", fail)
    with pytest.raises(UserError, match="today"):
        finished(tmp_path, "wandb")
    assert wandb.run is None
    (folder,) = (tmp_path / "runs").iterdir()
    assert len(Offline(folder).all("exit")) == 1


def test_tensorboard_has_the_curves_and_the_record_as_scalars(tmp_path: Path) -> None:
    folder, summary = finished(tmp_path, "tensorboard")
    (place,) = {path.parent for path in folder.rglob("events.out.tfevents.*")}
    assert place == folder / folder.name
    board = EventAccumulator(str(place))
    board.Reload()
    scalars = {tag: [e.value for e in board.Scalars(tag)] for tag in board.Tags()["scalars"]}
    history = [float(row["val_loss"]) for row in rows_of(folder / "history.csv")]
    assert scalars["val_loss"] == pytest.approx(history, rel=1e-6)
    assert scalars["size_mib"] == pytest.approx([summary["size_mib"]], rel=1e-6)
    assert scalars["integer/mismatched_logits"] == [0]


class Failing(Logger):
    """Disconnects at its second call."""

    name, version = "failing", 0

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.calls += 1
        if self.calls == 2:
            raise ConnectionError("the server is gone\nfor good")

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        raise ConnectionError


def test_a_disconnected_logger_says_so_once_and_never_costs_a_run(caplog):
    logger = Guarded(inner := Failing())
    for step in range(5):
        logger.log_metrics({"top1": 1.0}, step)
    log_record(logger, Results({}, {}, [], [], {}))
    logger.finalize("success")
    logger.close()
    assert inner.calls == 2
    assert [record.getMessage() for record in caplog.records] == [
        "the logger has failed and is left alone: the server is gone"
    ]


def test_a_logger_without_a_login_is_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tests.run.test_tracker.CHOICES", [*CHOICES, "logger.mode=online"])
    with pytest.raises(UserError, match=r"API key .*logger=none"):
        finished(tmp_path, "wandb")
    assert not list(tmp_path.rglob("weights.pt"))


def test_a_logger_that_is_not_installed_is_a_line_and_the_run_is_whole(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", False)
    monkeypatch.setattr("tests.run.test_tracker.CHOICES", [*CHOICES, "deploy=none"])
    folder, summary = finished(tmp_path, "wandb")
    assert summary["top1"] is not None
    assert (folder / "summary.json").exists()
    (line,) = (r.getMessage() for r in caplog.records if r.name == "dyadic.commands.loggers")
    assert line == "wandb is not installed: no log beside the record; logger=none says so"


def test_the_runs_of_a_sweep_do_not_share_the_id_of_one_run(tmp_path, monkeypatch):
    sweep = SimpleNamespace(mode=RunMode.MULTIRUN)
    monkeypatch.setattr("dyadic.commands.loggers.HydraConfig.initialized", lambda: True)
    monkeypatch.setattr("dyadic.commands.loggers.HydraConfig.get", lambda: sweep)
    monkeypatch.setenv("WANDB_RUN_ID", "mine")
    monkeypatch.setattr("tests.run.test_tracker.CHOICES", [*CHOICES, "deploy=none"])
    directory, _ = finished(tmp_path, "wandb")
    assert "mine" not in Offline(directory).place.name
    assert "WANDB_RUN_ID" not in os.environ  # W&B reads it once a process, maybe long before
