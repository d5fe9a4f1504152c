"""How a command ends when what reads its output, or who started it, wants no more."""

import contextlib
import os
import sys
from collections.abc import Iterator

INTERRUPTED, CLOSED = 130, 141  # 128 and the signal's number, as a shell counts


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """End without a traceback where the reader of the output has gone, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(CLOSED)
