"""Where every tensor lives: NHWC in one arena, planned once, memory shared over time.

A concatenation's inputs are made in place, as slices of its channels. Tensors that convolutions
read in place have a border of zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from dyadic.integer.engines.compiled.fusion import Group
from dyadic.integer.program.bounds import Proof, Range
from dyadic.integer.program.operations import Concat, Flatten
from dyadic.integer.program.shapes import Shape

LINE = 64  # bytes; every image begins on a cache line
SLACK = 256  # bytes behind a tensor that a vector of 64 channels may read, and never uses
GUARD = 0  # bytes of the page behind each tensor that tests (DY_GUARD) let nobody touch

Border = tuple[int, int]
Place = tuple[str, int]  # the tensor that holds this one, and the first channel in it


@dataclass(frozen=True)
class Slot:
    """A tensor in the arena; `dy_slot` in bytes, here in elements.

    stride   elements from a pixel to the next (more than its channels for a slice)
    channel  first channel in `root`
    offset   bytes from the begin of an image's arena
    """

    shape: Shape
    dtype: str
    root: str
    channel: int
    stride: int
    border: Border
    offset: int
    size: int

    @property
    def itemsize(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.dtype).itemsize

    @property
    def pitch(self) -> int:
        """Elements from a row to the next; a row's right border is the next one's left border."""
        return (self.shape[2] + self.border[1]) * self.stride

    @property
    def origin(self) -> int:
        """Bytes from an image's begin to its first element."""
        before = self.border[0] * self.pitch + self.border[1] * self.stride
        return (before + self.channel) * self.itemsize


@dataclass(frozen=True)
class Layout:
    """Slots by tensor name, the arena's bytes for one image, and those behind the last one."""

    slots: dict[str, Slot]
    arena: int
    slack: int


def storage(values: Range) -> str:
    """The narrowest type that holds all values."""
    for dtype in ("uint8", "int8", "int16"):
        limits = np.iinfo(dtype)
        if limits.min <= values[0] and values[1] <= limits.max:
            return dtype
    return "int32"


def as_image(shape: Shape) -> Shape:
    """(F,) as F channels of one pixel."""
    return shape if len(shape) == 3 else (shape[0], 1, 1)


def places(groups: Sequence[Group], proof: Proof, types: Mapping[str, str]) -> dict[str, Place]:
    """Tensors that need no memory of their own: slices of a concatenation, flattened pixels."""
    found: dict[str, Place] = {}
    for group in groups:
        operation = group.operation
        if isinstance(operation, Flatten) and prod(proof.shapes[operation.inputs[0]][1:]) == 1:
            found[operation.name] = (operation.inputs[0], 0)
        if isinstance(operation, Concat):
            found.update(_slices(operation, proof, types, taken=found))
    return found


def _slices(
    operation: Concat, proof: Proof, types: Mapping[str, str], taken: Mapping[str, Place]
) -> dict[str, Place]:
    """The inputs that can be made inside the concatenation: each once, stored in its type."""
    found: dict[str, Place] = {}
    channel = 0
    for name in operation.inputs:
        same = types[name] == types[operation.name]
        if same and name not in taken and name not in found and name != "input":
            found[name] = (operation.name, channel)
        channel += proof.shapes[name][0]
    return found


def plan(
    groups: Sequence[Group],
    proof: Proof,
    borders: Mapping[str, Border],
    share: bool,
    types: Mapping[str, str] | None = None,
) -> Layout:
    """Slots for all tensors that the groups make or read; memory is shared over time if `share`.

    types  of each tensor; the narrowest, if None
    """
    types = types or {name: storage(values) for name, values in proof.ranges.items()}
    placed = places(groups, proof, types)
    names = dict.fromkeys(name for group in groups for name in (*group.inputs, *group.outputs))
    roots = {name: _root(name, placed) for name in names}
    border = {root: (0, 0) for root, _ in roots.values()}
    for name, (root, _) in roots.items():
        wanted = borders.get(name, (0, 0))
        border[root] = (max(border[root][0], wanted[0]), max(border[root][1], wanted[1]))
    sizes = {root: _bytes(proof.shapes[root], types[root], border[root]) for root in border}
    offsets, arena = _guard(sizes) if GUARD else overlay(sizes, _lifetimes(groups, roots, share))
    slots = {
        name: Slot(
            as_image(proof.shapes[name]), types[name], root, channel,
            as_image(proof.shapes[root])[0], border[root], offsets[root], sizes[root],
        )
        for name, (root, channel) in roots.items()
    }  # fmt: skip
    return Layout(slots, arena, slack=0 if GUARD else SLACK)


def _root(name: str, placed: Mapping[str, Place]) -> Place:
    channel = 0
    while name in placed:
        name, first = placed[name]
        channel += first
    return name, channel


def _bytes(shape: Shape, dtype: str, border: Border) -> int:
    """Bytes of an image with its border, up to a cache line."""
    channels, rows, columns = as_image(shape)
    pixels = (rows + 2 * border[0]) * (columns + border[1]) + border[1]
    size = channels * pixels * np.dtype(dtype).itemsize
    return -(-size // LINE) * LINE


def _lifetimes(
    groups: Sequence[Group], roots: Mapping[str, Place], share: bool
) -> dict[str, tuple[int, int]]:
    """First and last step that touches each root; all steps if nothing is shared."""
    lives: dict[str, tuple[int, int]] = {}
    for index, group in enumerate(groups):
        for name in (*group.inputs, *group.outputs):
            root = roots[name][0]
            first = lives.get(root, (index, index))[0] if share and root != "input" else 0
            lives[root] = (first, index if share else len(groups))
    last = roots[groups[-1].made][0]
    lives[last] = (lives[last][0], len(groups))
    return lives


def _guard(sizes: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Offsets of tensors that share nothing: each ends, with its slack, where a page begins."""
    offsets: dict[str, int] = {}
    end = 0
    for name, size in sizes.items():
        end += -(-(size + SLACK) // GUARD) * GUARD
        offsets[name] = end - SLACK - size
        end += GUARD
    return offsets, end


def overlay(
    sizes: Mapping[str, int], lives: Mapping[str, tuple[int, int]]
) -> tuple[dict[str, int], int]:
    """Offsets, the largest tensor first, each at the lowest place that is free while it lives."""
    offsets: dict[str, int] = {}
    for name in sorted(sizes, key=lambda n: (-sizes[n], n)):
        first, last = lives[name]
        busy = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if lives[other][0] <= last and first <= lives[other][1]
        )
        offset = 0
        for begin, end in busy:
            if offset + sizes[name] <= begin:
                break
            offset = max(offset, end)
        offsets[name] = offset
    return offsets, max((offsets[name] + sizes[name] for name in sizes), default=0)
