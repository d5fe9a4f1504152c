"""What the report's commands share: arguments, errors as one line, blocks of a README."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dyadic.errors import UserError
from dyadic.record.files import write_text


def command(
    module: str, action: Callable[[Any], int], arguments: list[str] | None, **options: Any
) -> int:
    """Parse `options` and act; the exit code, 2 after one line where something is wrong.

    options  paths by default, or False for a switch; `runs` and `out` stand without their names
    """
    parser = argparse.ArgumentParser(prog=f"python -m dyadic.report.{module}")
    for name, default in options.items():
        kind = {"action": "store_true"} if default is False else {"type": Path, "default": default}
        plain: Any = {"nargs": "?"} if name in ("runs", "out") else {}
        parser.add_argument(name if plain else f"--{name}", **kind, **plain)
    try:
        return action(parser.parse_args(arguments))
    except KeyboardInterrupt:
        return 0
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def fill(blocks: Iterable[tuple[Path, str, str]], check: bool, module: str) -> int:
    """Write (file, mark, block); or, to check, 1 where a file has another block."""
    for path, mark, block in blocks:
        text = path.read_text(encoding="utf-8")
        fresh = insert(text, block, mark)
        if check and fresh != text:
            print(f"{path} is stale: run `python -m dyadic.report.{module}`", file=sys.stderr)
            return 1
        if not check:
            write_text(path, fresh)
    return 0


def marks(name: str) -> tuple[str, str]:
    """The lines between which a block stands."""
    return f"<!-- {name}:begin -->", f"<!-- {name}:end -->"


def insert(text: str, block: str, mark: str) -> str:
    """The text with `block` between two marks; raises UserError where they are missing."""
    begin, end = marks(mark)
    head, first, rest = text.partition(begin)
    _, last, tail = rest.partition(end)
    if not (first and last):
        raise UserError(f"the README has no place for the table; add lines {begin} and {end}")
    return f"{head}{begin}\n\n{block.strip()}\n\n{end}{tail}"
