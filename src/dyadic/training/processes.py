"""Several processes at work on one run, or on what runs share: who writes, and who waits."""

import contextlib
import fcntl
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)
T = TypeVar("T")


def is_first() -> bool:
    """Whether this process is the one that scores, writes and reports; a run alone is."""
    return rank_zero_only.rank == 0


def told_by_first(value: T) -> T:
    """The first process's value, in every process of the run; each waits for it here."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file; logs `waiting` when another has it. A killed process frees it.

    Only the first process of a run takes it: the others follow.
    """
    if not is_first():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s", waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
