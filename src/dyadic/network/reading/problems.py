"""What a network does and no integer program can: each with its layer and its line."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from dyadic.errors import UserError

NOT_THE_USERS = (str(Path(torch.__file__).parent) + os.sep, str(Path(__file__).parents[1]), "<")
KINDS_SHOWN = 4  # kinds of problems that one line names


@dataclass(frozen=True)
class Refusal:
    """Something without an integer form: what, in which layer, on which line."""

    what: str
    layer: str
    line: str

    def __str__(self) -> str:
        return f"{self.what} ({', '.join(x for x in (self.layer, self.line) if x) or 'the model'})"


class Unreadable(UserError):
    """All that a network does and no integer program can, in one line.

    read  what could be read all the same
    """

    def __init__(self, model: str, problems: list[Refusal], read: list[str]) -> None:
        self.problems, self.read = problems, read
        kinds: dict[str, list[Refusal]] = {}
        for problem in problems:
            kinds.setdefault(re.sub(r"\[.*?\]|\d+", "", problem.what), []).append(problem)
        parts = [
            f"{same[0]}" + (f" and {len(same) - 1} more" if len(same) > 1 else "")
            for same in kinds.values()
        ]
        rest = [f"{len(parts) - KINDS_SHOWN} other kinds"] if len(parts) > KINDS_SHOWN else []
        super().__init__(f"{model} has no integer form: {'; '.join([*parts[:KINDS_SHOWN], *rest])}")


def line() -> str:
    """File and line of the user's code that is being executed."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(NOT_THE_USERS) and "unittest" not in name:
            return f"{Path(name).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""
