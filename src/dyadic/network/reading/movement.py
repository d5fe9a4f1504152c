"""Data movement, however it is spelled, by what it does to the numbers of the elements.

A chain of views, slices, transpositions and paddings is run once on a tensor that holds the number
of each element (and -1 for zeros that are padded). What comes out says where each element came
from; that is one of few forms - channels chosen, a border, every second pixel, pixels repeated, all
of it flattened - or it has no integer form here.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, fx, nn

from dyadic.network.forms import ZEROS, Pad, Pixels, Repeat, Select


@dataclass(frozen=True)
class Traced:
    """A tensor that depends on the images: a node's value, and how it was moved since, if it was.

    moved the numbers of the node's elements, shaped as the tensor (`numbered`)
    """

    node: fx.Node
    shape: tuple[int, ...]  # of the node's value, batch included
    moved: Tensor | None = None

    @property
    def now(self) -> Tensor:
        """The numbers, of a tensor that was not moved too."""
        return numbered(self.shape) if self.moved is None else self.moved


# Operators whose result holds elements of the first argument, and zeros, and nothing else.
VIEWS = {"view", "_unsafe_view", "reshape", "_reshape_alias"}
COPIES = {"clone", "contiguous", "detach", "alias", "lift_fresh", "_to_copy"}
MOVEMENTS = (
    VIEWS
    | COPIES
    | {"permute", "transpose", "t", "squeeze", "unsqueeze", "expand", "slice", "select", "split"}
    | {"split_with_sizes", "unbind", "index", "index_select", "flip", "roll", "repeat", "narrow"}
    | {"pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "chunk"}
    | {"upsample_nearest2d", "_upsample_nearest_exact2d", "constant_pad_nd"}
    | {"reflection_pad2d", "replication_pad2d"}
)


def numbered(shape: tuple[int, ...]) -> Tensor:
    """The number of each element of a batch [N, ...], float64 (some operators know no integers)."""
    return torch.arange(prod(shape), dtype=torch.float64).reshape(shape)


def moved_by(name: str, function: Any, arguments: dict[str, Any], moved: Tensor) -> Any:
    """The numbers after an operator of MOVEMENTS; a list where it gives several tensors."""
    if name in COPIES:
        return moved
    first, *_ = arguments
    given = arguments | {first: moved.contiguous()}
    if name in VIEWS:
        return moved.reshape(arguments.get("size") or arguments["shape"])
    if name == "constant_pad_nd":
        given["value"] = ZEROS
    schema = function._schema.arguments
    positional = [given[a.name] for a in schema if not a.kwarg_only]
    return function(*positional, **{a.name: given[a.name] for a in schema if a.kwarg_only})


def within_images(moved: Tensor, elements: int) -> Tensor | None:
    """The map of one image, int64, or None where images of the batch are mixed.

    moved  numbers of a batch whose images have so many elements each
    """
    first = moved[0].long()
    offset = torch.arange(len(moved)).reshape(-1, *[1] * first.ndim) * elements
    expected = torch.where(first < 0, first, first + offset)
    return first if torch.equal(expected, moved.long()) else None


def forms(source: tuple[int, ...], moved: Tensor) -> list[nn.Module] | None:
    """The modules that move one image's elements so, in turn; None where there is no such list.

    source shape of the image before, without the batch; moved the map of one image (`numbered`)
    """
    if tuple(moved.shape) == source and torch.equal(moved.flatten(), torch.arange(moved.numel())):
        return []
    if moved.ndim == 1:
        return _features(source, moved)
    if moved.ndim != 3:
        return None
    if len(source) == 1:  # features become pixels
        chosen = moved[:, :1, :1]
        if not torch.equal(moved, chosen.expand_as(moved)):
            return None
        channel = torch.arange(len(moved)).reshape(-1, 1, 1).expand_as(moved)
        repeated = _image((len(moved), 1, 1), channel)
        return [*_features(source, chosen.flatten()), Pixels(), *(repeated or [])]
    return _image(source, moved) if len(source) == 3 else None


def _features(source: tuple[int, ...], moved: Tensor) -> list[nn.Module]:
    """All elements in a row, then those that are wanted."""
    flat: list[nn.Module] = [nn.Flatten(1)] if len(source) > 1 else []
    everything = torch.equal(moved, torch.arange(prod(source)))
    return flat if everything else [*flat, Select(moved.tolist())]


def _image(source: tuple[int, ...], moved: Tensor) -> list[nn.Module] | None:
    """Channels, rows and columns that are chosen independently of each other."""
    _, rows, columns = source
    used = moved >= 0
    lines = used.any(2).any(1), used.any(2).any(0), used.any(1).any(0)
    if not torch.equal(used, lines[0][:, None, None] & lines[1][:, None] & lines[2]):
        return None
    parts = moved // (rows * columns), moved // columns % rows, moved % columns
    channel, row, column = (
        torch.where(used, part, ZEROS).amax(dims)
        for part, dims in zip(parts, ((1, 2), (0, 2), (0, 1)), strict=True)
    )
    again = (channel[:, None, None] * rows + row[:, None]) * columns + column
    if not torch.equal(torch.where(used, again, ZEROS), moved):
        return None
    vertical, horizontal = _axis(row.tolist(), rows), _axis(column.tolist(), columns)
    if vertical is None or horizontal is None:
        return None
    made: list[nn.Module] = []
    if channel.tolist() != list(range(source[0])):
        made.append(Select(channel.tolist()))
    for key in ("before", "step", "times", "after"):
        made += _spatial(key, vertical[key], horizontal[key])
    return made


def _spatial(key: str, vertical: tuple[int, ...], horizontal: tuple[int, ...]) -> list[nn.Module]:
    both = (*horizontal, *vertical)
    if key in ("before", "after"):
        return [Pad(both)] if any(both) else []
    pair = (vertical[0], horizontal[0])
    if pair == (1, 1):
        return []
    return [nn.MaxPool2d(1, pair) if key == "step" else Repeat(pair)]


def _axis(positions: list[int], size: int) -> dict[str, tuple[int, ...]] | None:
    """How one axis is made: cut, every so many, each repeated, zeros around it; None if otherwise.

    >>> _axis([-1, 1, 3], 6)
    {'before': (-1, -1), 'step': (2,), 'times': (1,), 'after': (1, 0)}
    >>> _axis([0, 2], 4)
    {'before': (0, 0), 'step': (2,), 'times': (1,), 'after': (0, 0)}
    """
    inner = [p for p in positions if p >= 0]
    if not inner:
        return None
    start = positions.index(inner[0])
    if positions[start : start + len(inner)] != inner:
        return None
    zeros = (start, len(positions) - start - len(inner))
    times = inner.count(inner[0])
    single = inner[::times]
    if [p for p in single for _ in range(times)] != inner:
        return None
    step = single[1] - single[0] if len(single) > 1 else 1
    if step < 1 or single != list(range(single[0], single[-1] + 1, step)):
        return None
    end = min(size, single[-1] + step)  # what a step could not reach need not be cut off
    return {
        "before": (-single[0], end - size),
        "step": (step,),
        "times": (times,),
        "after": zeros,
    }
