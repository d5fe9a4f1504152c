"""Records of two machines become one set; what is there stays, nothing else is written."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from experiments.archive import main, merge, pack

from dyadic.errors import UserError


def record(runs: Path, name: str, top1: float, finished: bool = True) -> None:
    folder = runs / name
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "last.ckpt").write_bytes(b"large")
    (folder / "history.csv").write_text(f"top1\n{top1}\n")
    if finished:
        (folder / "summary.json").write_text(json.dumps({"name": name, "top1": top1}))


def top1(runs: Path) -> dict[str, float]:
    return {
        path.parent.name: json.loads(path.read_text())["top1"]
        for path in runs.glob("*/summary.json")
    }


def test_an_archive_adds_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    here, there, archive = tmp_path / "here", tmp_path / "there", tmp_path / "records.tar.xz"
    record(there, "a", 90.0)
    record(there, "b", 91.0)
    record(there, "unfinished", 0.0, finished=False)
    record(here, "b", 92.0)
    record(here, "c", 93.0)
    assert pack(archive, there) == 2
    assert merge(archive, here) == (1, 1)
    assert top1(here) == {"a": 90.0, "b": 92.0, "c": 93.0}
    assert (here / "a" / "history.csv").read_text() == "top1\n90.0\n"
    assert not (here / "a" / "checkpoint").exists()
    assert merge(archive, here) == (0, 2)
    assert sorted(path.name for path in here.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["../x/summary.json", "a/run.sh", "/tmp/summary.json", "a"])
def test_other_files_are_refused_and_nothing_is_added(tmp_path: Path, name: str) -> None:
    archive, runs = tmp_path / "other.tar.gz", tmp_path / "runs"
    with tarfile.open(archive, "w:gz") as file:
        for inside in ("ok/summary.json", name):
            member = tarfile.TarInfo(inside)
            member.size = 2
            file.addfile(member, io.BytesIO(b"{}"))
    with pytest.raises(UserError, match="no archive of records"):
        merge(archive, runs)
    assert not list(runs.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.tar.gz", "runs"]


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_torn_archive_is_refused_and_nothing_is_added(tmp_path: Path, kept: float) -> None:
    there, archive = tmp_path / "there", tmp_path / "records.tar.xz"
    there.mkdir()
    (there / "one").mkdir()
    (there / "one" / "summary.json").write_text(json.dumps({"top1": 90.0}))
    (there / "one" / "history.csv").write_text("\n".join(map(str, range(5000))))
    pack(archive, there)
    archive.write_bytes(archive.read_bytes()[: int(kept * archive.stat().st_size)])
    with pytest.raises(UserError, match="no archive of records"):
        merge(archive, tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


def test_mistakes_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = tmp_path / "torn.tar.gz"
    torn.write_bytes(b"no archive")
    assert main(["merge", str(torn), "--runs", str(tmp_path / "runs")]) == 2
    assert main(["pack", str(torn), "--runs", str(tmp_path / "none")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("error: ") for line in lines)
