"""Digests of what a user brings: the source of a network, weights, a folder of pictures.

Two runs with the same choices are the same run only where these agree. Nothing is imported or
decoded for them.
"""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages")


def of_source(module: str, path: list[str] | None = None) -> str:
    """Sixteen hex digits for the source of a module, its package, and what it imports beside it.

    path  where to look, as `sys.path`; the empty string where the module is not found
    """
    files = list(_sources(module.partition(".")[0], path))
    return _digest(file.read_bytes() for file in files) if files else ""


def _sources(top: str, path: list[str] | None) -> Iterator[Path]:
    """Files of a top-level module or package, and of those beside it that they import."""
    waiting, seen = [top], {top}
    while waiting:
        spec = PathFinder.find_spec(waiting.pop(), path)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            continue
        origin = Path(spec.origin)
        package = origin.name == "__init__.py"
        root = origin.parent.parent if package else origin.parent
        for file in sorted(origin.parent.rglob("*.py")) if package else [origin]:
            yield file
            if root.name not in INSTALLED:
                waiting += [name for name in _imported(file) if name not in seen]
                seen.update(waiting)
        path = [str(root)]  # what is elsewhere is installed, and not the user's


def _imported(file: Path) -> list[str]:
    """Top-level names that a file imports; none from a file that is no Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return []
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module.partition(".")[0])
    return names


def of_file(path: Path) -> str:
    """Sixteen hex digits for the content of a file; the empty string where there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""


def of_folder(folder: Path, times: bool = True) -> str:
    """Sixteen hex digits for the names and sizes of all files below a folder, and their times."""

    def entries() -> Iterator[bytes]:
        for place, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                facts = os.stat(os.path.join(place, name))
                time = facts.st_mtime_ns if times else ""
                yield f"{os.path.relpath(place, folder)}/{name} {facts.st_size} {time}\n".encode()

    return _digest(entries())


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:16]
