"""Order: which images form which batch, as a pure function of (seed, epoch)."""

import hashlib

import torch
import torch.distributed
from torch import Tensor

CPU = torch.device("cpu")


def generator(*key: int | str) -> torch.Generator:
    """A random generator that depends on the key alone, such as (seed, epoch) or (seed, "mirror").

    >>> a, b, c = (torch.rand(1, generator=generator(*key)) for key in ((0, 1), (0, 1), (1, 0)))
    >>> bool(a == b), bool(a == c)
    (True, False)
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big"))


def shuffled_batches(
    count: int, batch_size: int, source: torch.Generator, device: torch.device = CPU
) -> list[Tensor]:
    """Image numbers 0..count-1 in random order, in full batches; an incomplete last one is dropped.

    A set smaller than one batch is one batch.

    >>> [len(batch) for batch in shuffled_batches(10, 4, generator(0))]
    [4, 4]
    """
    size = min(batch_size, count)
    order = torch.randperm(count, generator=source)
    return list(order[: count // size * size].to(device).split(size))


def this_rank(batch: Tensor) -> Tensor:
    """The part of a batch that this process works on under distributed training, else all of it."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return batch
    return batch[torch.distributed.get_rank() :: torch.distributed.get_world_size()]
