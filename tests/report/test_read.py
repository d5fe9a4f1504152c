import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from dyadic.record.read import RUNNING_SECONDS, read_csv, read_record, read_records
from dyadic.report.data.runs import overview


def test_every_run_is_read_and_a_folder_that_is_no_run_is_not(runs: Path) -> None:
    frame = overview(read_records(runs))
    assert set(frame.name) == {path.name for path in runs.iterdir()} - {"empty"}
    assert sorted(frame.status.unique()) == ["done", "running"]


def test_a_summary_arrives_as_it_was_written(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "inq", 4, 1)
    summary = json.loads((path / "summary.json").read_text())
    row = overview(read_records(tmp_path)).iloc[0]
    for key in ("dataset", "model", "method", "bits", "seed", "top1", "size_mib", "hardware"):
        assert row[key] == summary[key]
    assert row.seconds == sum(summary["seconds"].values())
    assert row.integer_passed
    assert (row.weight, row.activation) == ("inq", "uniform")


def test_a_run_without_summary_is_in_progress_and_then_unfinished(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "inq", 4, 0)
    (path / "summary.json").unlink()
    record = read_record(path)
    assert record is not None
    assert record.status == "running"
    old = time.time() - 2 * RUNNING_SECONDS
    for file in path.iterdir():
        os.utime(file, (old, old))
    record = read_record(path)
    assert record is not None
    assert record.status == "unfinished"


def test_the_line_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,top1\n0,90.5\n1,9")
    assert list(read_csv(path).top1) == [90.5]
    path.write_text("epoch,to")
    assert read_csv(path).empty
    assert read_csv(tmp_path / "missing.csv").empty


def test_half_an_archive_gives_no_histograms(make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "uniform", 4, 0)
    record = read_record(path)
    assert record is not None
    assert "conv1/levels" in record.histograms()
    content = (path / "histograms.npz").read_bytes()
    (path / "histograms.npz").write_bytes(content[: len(content) // 2])
    assert record.histograms() == {}


def test_history_has_every_column_even_when_the_file_has_few(tmp_path: Path) -> None:
    (tmp_path / "history.csv").write_text("epoch,top1\n0,90.5\n")
    record = read_record(tmp_path)
    assert record is not None
    history = record.history()
    assert np.isnan(history.quantized_share[0])
    assert history.event[0] == ""


@pytest.mark.parametrize(
    "config",
    [
        "method: inq\nbits: 3\nseed: 9\n",
        "method: {name: inq}\ndataset: {name: cifar10}\nbits: 3\nseed: 9\n",
    ],
)
def test_a_run_in_progress_is_known_by_its_configuration(tmp_path: Path, config: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config)
    row = overview(read_records(tmp_path)).iloc[0]
    assert (row.method, row.bits, row.seed, row.status) == ("inq", 3, 9, "running")
    assert row.dataset == ("cifar10" if "cifar" in config else "")
    assert np.isnan(row.top1)


@pytest.mark.parametrize("config", ["bits: [3\n", "- inq\n", ""])
def test_half_a_configuration_says_nothing(tmp_path: Path, config: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(config)
    row = overview(read_records(tmp_path)).iloc[0]
    assert (row.method, row.status) == ("", "running")


@pytest.mark.parametrize(
    ("integer", "passed"),
    [
        ({}, None),
        ({"mismatched_logits": 0}, True),
        ({"mismatched_logits": 0, "mismatched_vs_float64": 3}, False),
        ({"mismatched_logits": None, "mismatched_vs_float64": 0}, True),
    ],
)
def test_the_integer_check(integer: dict, passed: bool | None, make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "inq", 4, 0) / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"integer": integer}))
    assert overview(read_records(tmp_path)).integer_passed.tolist() == [passed]


def flipped(content: bytes) -> bytes:
    """One byte in the middle of the stored arrays."""
    place = len(content) // 3
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


DAMAGES = {
    "histograms.npz": flipped,
    "layers.csv": lambda content: content.replace(b"conv1,", b'"conv1,', 1),
    "summary.json": lambda content: content.replace(b'"top5": 99.71', b'"top5": Infinity'),
    "config.yaml": lambda content: b"bits: [3\n" + content,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_record_is_broken_with_its_reason(name: str, make_run, tmp_path: Path) -> None:
    path = make_run(tmp_path, "inq", 4, 0)
    make_run(tmp_path, "inq", 4, 1)
    content = (path / name).read_bytes()
    (path / name).write_bytes(DAMAGES[name](content))
    assert (path / name).read_bytes() != content
    broken, whole = read_records(tmp_path)
    assert (broken.status, whole.status) == ("broken", "done")
    assert broken.reason.startswith(name)
    assert "\n" not in broken.reason


def test_a_failed_run_says_why(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("bits: 4\n")
    (tmp_path / "error.txt").write_text("Traceback\nValueError: no images\n")
    record = read_record(tmp_path)
    assert record is not None
    assert (record.status, record.reason) == ("failed", "ValueError: no images")
