"""What the report's commands share: arguments, and errors as one line."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dyadic.errors import UserError


def command(
    module: str,
    action: Callable[[Any], int],
    arguments: list[str] | None,
    bare: tuple[str, ...] = ("runs", "out"),
    **options: Any,
) -> int:
    """Parse `options` and act; the exit code, 2 after one line where something is wrong.

    An option's value is its default, and its type; False makes a switch. Those in `bare` stand
    without their names.
    """
    parser = argparse.ArgumentParser(prog=f"python -m dyadic.report.{module}")
    for name, default in options.items():
        if name in bare:
            parser.add_argument(name, type=Path, nargs="?", default=default)
        elif default is False:
            parser.add_argument(f"--{name}", action="store_true")
        else:
            kind = Path if isinstance(default, Path) else type(default)
            parser.add_argument(f"--{name}", type=kind, default=default)
    try:
        return action(parser.parse_args(arguments))
    except KeyboardInterrupt:
        return 0
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
