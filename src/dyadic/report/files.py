"""Writing: beside the target under a temporary name, then renamed, so no reader sees a half."""

import os
from pathlib import Path


def write_atomically(path: Path, content: str) -> None:
    """Write UTF-8 text; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(content, encoding="utf-8")
    beside.replace(path)
