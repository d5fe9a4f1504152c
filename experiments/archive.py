"""Records of one machine for another: `python -m experiments.archive pack FILE` and `merge FILE`.

The archive is a `.tar.xz` of the finished runs' records without checkpoints, programs and logs.
Merging adds the runs that are missing and touches none that is there: a name holds every choice of
a run, so equal names are the same run.
"""

import argparse
import json
import lzma
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from dyadic.errors import UserError
from dyadic.record.files import write_atomically

KEPT = ("config.yaml", "history.csv", "layers.csv", "histograms.npz", "summary.json")
RUNS = Path("results/runs")


def pack(archive: Path, runs: Path = RUNS) -> int:
    """Write the records of all finished runs; returns how many there are."""
    finished = sorted(path.parent for path in runs.glob("*/summary.json"))
    if not finished:
        raise UserError(f"no finished run in {runs}")
    with write_atomically(archive) as temporary, tarfile.open(temporary, "w:xz") as file:
        for run in finished:
            for name in KEPT:
                if (run / name).is_file():
                    file.add(run / name, f"{run.name}/{name}")
    return len(finished)


def merge(archive: Path, runs: Path = RUNS) -> tuple[int, int]:
    """Add the archive's runs to `runs`; returns how many are new, and how many were there.

    Raises UserError for what is no archive of records; then nothing is added.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=runs, prefix=".merge-") as folder:
        _unpack(archive, Path(folder))
        found = sorted(path.parent for path in Path(folder).glob("*/summary.json"))
        new = [run for run in found if not (runs / run.name / "summary.json").exists()]
        for run in new:
            _add(run, runs / run.name)
    return len(new), len(found) - len(new)


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive) as file:
            for member in file:
                path = PurePosixPath(member.name)
                if not member.isfile() or len(path.parts) != 2 or path.name not in KEPT:
                    raise UserError(f"{archive} holds {member.name}; it is no archive of records")
                file.extract(member, folder, filter="data")
        for summary in folder.glob("*/summary.json"):
            json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, EOFError, lzma.LZMAError, tarfile.TarError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{archive} is no archive of records ({reason})") from None


def _add(run: Path, place: Path) -> None:
    """`summary.json` comes last: without it a directory is an unfinished run."""
    place.mkdir(exist_ok=True)
    for path in sorted(run.iterdir(), key=lambda path: path.name == "summary.json"):
        path.replace(place / path.name)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m experiments.archive", description=__doc__)
    parser.add_argument("what", choices=("pack", "merge"))
    parser.add_argument("archive", type=Path)
    parser.add_argument("--runs", type=Path, default=RUNS)
    options = parser.parse_args(arguments)
    try:
        if options.what == "pack":
            print(f"{pack(options.archive, options.runs)} runs in {options.archive}")
        else:
            new, known = merge(options.archive, options.runs)
            print(f"{new} runs are new, {known} were there")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
