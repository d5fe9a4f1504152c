"""Files that are either whole or absent: written beside, then renamed."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def write_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`; renamed to it at the end, removed after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, atomically, with sorted keys left as they are and a final newline."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text, atomically; the folder is made where it is missing."""
    with write_atomically(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
