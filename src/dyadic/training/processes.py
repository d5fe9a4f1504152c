"""Several processes at work on one run, or on what runs share: who writes, and who waits."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import torch.distributed as dist
from filelock import FileLock, Timeout
from pytorch_lightning.utilities import rank_zero_only

from dyadic.errors import UserError

log = logging.getLogger(__name__)
T = TypeVar("T")


def is_first() -> bool:
    """Whether this process is the one that scores, writes and reports; a run alone is."""
    return rank_zero_only.rank == 0


def alone() -> None:
    """A run on one device is its own first process, whatever the environment says of ranks."""
    rank_zero_only.rank = 0


def from_first(value: T) -> T:
    """The first process's value, in every process of the run; each waits for it here."""
    if not (dist.is_available() and dist.is_initialized()):
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> Iterator[None]:
    """Hold a lock file, made with its folders; logs `waiting` when another has it.

    A killed process frees it.

    Only the first process of a run takes it: the others follow. Raises UserError where the file
    cannot be locked.
    """
    if not is_first():
        yield
        return
    lock = FileLock(path, mode=0o664, thread_local=False, fallback_to_soft=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.info("%s", waiting)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be locked ({reason}); is it another user's?") from error
    try:
        yield
    finally:
        lock.release()
