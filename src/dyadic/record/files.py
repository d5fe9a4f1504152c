"""Files that are either whole or absent, and that are not believed when a bit has flipped."""

import csv
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dyadic.errors import UserError, first_line

DIGEST = "sha256"  # of the other keys, in a sealed file
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


class Damaged(UserError):
    """A file that is not what was written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is damaged ({reason})")


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it at the end, removed after an error.

    What was there before stays until the new content is on the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear_temporaries(directory: Path, older: float = 0.0) -> None:
    """Remove what killed processes left half-written below a folder.

    older  seconds; in a folder into which others write at this moment, more than a writing takes
    """
    for path in directory.rglob(".*"):
        with suppress(FileNotFoundError):  # renamed by its writer at this moment
            age = time.time() - path.stat().st_mtime
            if path.suffix[1:].isdecimal() and path.is_file() and age >= older:
                path.unlink()


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text, atomically; the folder is made where it is missing."""
    with write_atomically(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON, atomically, with its keys in their order and a final newline."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises Damaged where the file holds none, FileNotFoundError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(path, first_line(error)) from None
    if not isinstance(value, dict):
        raise Damaged(path, "no JSON object")
    return value


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object with its own checksum, for `read_sealed`."""
    write_json(path, value | {DIGEST: _digest(value)})


def read_sealed(path: Path) -> dict[str, Any]:
    """What `write_sealed` wrote. Raises Damaged, FileNotFoundError.

    Files of earlier versions have no checksum and are believed.
    """
    value = read_json(path)
    digest = value.pop(DIGEST, None)
    if digest not in (None, _digest(value)):
        raise Damaged(path, "its checksum does not match")
    return value


def _digest(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write a CSV with these columns, atomically; missing values stay empty."""
    with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: harmless(value) for key, value in row.items()} for row in rows)


def harmless(cell: Any) -> Any:
    """The cell of a CSV; a text that a spreadsheet would run has an apostrophe in front.

    >>> harmless("=1+1"), harmless("conv1"), harmless(-0.5)
    ("'=1+1", 'conv1', -0.5)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
