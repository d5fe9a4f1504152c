"""Layers as matrix products: weights packed, and the numbers that `dy_gemm` needs."""

from dataclasses import dataclass
from math import gcd

import numpy as np

from dyadic.integer.engines.compiled.choose import (
    BLOCK,
    WORD_BYTES,
    Choice,
    fits,
    is_depthwise,
    stretches,
)
from dyadic.integer.engines.compiled.lanes import Lanes
from dyadic.integer.engines.compiled.layout import Slot
from dyadic.integer.engines.compiled.rows import as_conv
from dyadic.integer.engines.compiled.sets import InstructionSet
from dyadic.integer.program.operations import Conv, Linear

GATHER_BYTES = 2**18
SPARE_ROWS = 32  # a vector may be written beyond the last gathered row


@dataclass(frozen=True)
class Gemm:
    """A packed layer.

    flip          bytes as those of the other sign, 128 off; the bias takes that off again
    planes        weights, those of a tile's blocks word by word; a second one for sqrt(2); by
                  Winograd's algorithm (`patches.py`) all points' for each tile's blocks
    words         depth
    stretches     int64 [n, 2]: offset in bytes from a pixel, length in words
    group_blocks  blocks that see the same input, and `group_bytes` from it to the next one's
    row           bytes of a gathered row, or of a patch's transformed pixel
    limit         positions whose gathered input stays in the cache, or patches
    scratch       bytes of gathered input; or of transformed input, products, outputs of a tile
    shifts        uint8 [points^2], by Winograd's algorithm in bytes: added to the transformed input
    patch_bias    int32 [points^2, lanes], by Winograd's algorithm
    """

    flip: bool
    planes: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    lanes: Lanes
    stretches: np.ndarray
    group_blocks: int
    group_bytes: int
    row: int
    words: int
    limit: int
    scratch: int
    shifts: np.ndarray | None = None
    patch_bias: np.ndarray | None = None

    @property
    def blocks(self) -> int:
        """Blocks of output channels."""
        return len(self.biases[0]) // BLOCK


def pack_gemm(
    operation: Linear, choice: Choice, source: Slot, largest: int, path: InstructionSet
) -> Gemm:
    """The layer for the place where its input lives; no accumulator is beyond `largest`."""
    planes = tuple(as_conv(plane) for plane in operation.weights.planes)
    taken = _groups_at_once(operation)
    flip = choice.unit == "dot8" and (source.dtype == "int8") != path.signed
    biases = tuple(_flipped(plane, flip, path) for plane in planes)
    planes = tuple(_dense(plane, operation, taken) for plane in planes)
    if choice.unit == "depthwise":
        packed, where = _depthwise(operation, planes, source)
    else:
        packed, where = _product(operation, choice, planes, source)
    blocks, words = packed[0].shape[:2]
    if choice.unit != "depthwise":
        at_once = _group_blocks(operation, taken)
        packed = tuple(by_tiles(plane[None], at_once, path.tile_blocks) for plane in packed)
    lanes = blocks * BLOCK
    first, *odd = (padded(bias, lanes) for bias in biases)
    first += padded(operation.bias, lanes)
    inputs = BLOCK if is_depthwise(operation) else planes[0].shape[1]
    row = 0 if choice.in_place else _row(operation, source, choice)
    limit = max(SPARE_ROWS, GATHER_BYTES // max(row, 1))
    return Gemm(
        flip,
        packed,
        tuple(bias.astype(np.int32) for bias in (first, *odd)),
        Lanes.of(operation, lanes, largest),
        where,
        _group_blocks(operation, taken),
        inputs * (source.itemsize if choice.in_place else choice.item),
        row,
        words,
        limit,
        (limit + SPARE_ROWS) * row,
    )


def padded(values: np.ndarray, lanes: int) -> np.ndarray:
    """Zeros behind the channels' values, up to whole blocks."""
    return np.concatenate([values, np.zeros(lanes - len(values), np.int64)])


def _flipped(plane: np.ndarray, flip: bool, path: InstructionSet) -> np.ndarray:
    """What flipping adds to each sum, taken off; int32 modulo 2^32 is how sums are added up."""
    added = (-128 if path.signed else 128) * plane.reshape(len(plane), -1).sum(1, dtype=np.int64)
    return -added if flip else np.zeros_like(added)


# ---- groups ----------------------------------------------------------------------------------


def _groups_at_once(operation: Linear) -> int:
    """Groups whose outputs together are whole blocks."""
    if not isinstance(operation, Conv) or operation.groups == 1 or is_depthwise(operation):
        return 1
    outputs = len(operation.weights.codes) // operation.groups
    return min(operation.groups, BLOCK // gcd(BLOCK, outputs))


def _group_blocks(operation: Linear, taken: int) -> int:
    """Blocks that see the same input; every block its own channels in a depthwise layer."""
    if is_depthwise(operation):
        return 1
    groups = operation.groups if isinstance(operation, Conv) else 1
    outputs = len(operation.weights.codes) // groups * taken
    return -(-outputs // BLOCK)


def _dense(plane: np.ndarray, operation: Linear, taken: int) -> np.ndarray:
    """[O, I, kh, kw] to [O, taken * I, kh, kw]: each group's inputs among those of all `taken`."""
    if taken == 1:
        return plane
    outputs, inputs, *kernel = plane.shape
    assert isinstance(operation, Conv)
    dense = np.zeros((outputs, taken, inputs, *kernel), plane.dtype)
    group = np.arange(outputs) // (outputs // operation.groups)
    dense[np.arange(outputs), group % taken] = plane
    return dense.reshape(outputs, taken * inputs, *kernel)


# ---- packing ---------------------------------------------------------------------------------


def _product(
    operation: Linear, choice: Choice, planes: tuple[np.ndarray, ...], source: Slot
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Packed planes, and the stretches of the input that they meet."""
    grouped = isinstance(operation, Conv) and operation.groups > 1
    inputs, height, width = planes[0].shape[1:]
    if grouped:
        number, elements = height * width, inputs
    else:
        number, elements = stretches(
            operation, choice.in_place, dense=source.stride == source.shape[0]
        )
    copies = 1 if choice.item == 2 or all(fits(plane, "int8") for plane in planes) else 2
    packed = tuple(pack_plane(plane, (number, elements), choice.item, copies) for plane in planes)
    if choice.in_place:
        offsets = _offsets(operation, number, source)
    else:
        offsets = np.arange(number) * source.shape[0] * choice.item
    words = np.full(len(offsets) * copies, packed[0].shape[1] // (len(offsets) * copies))
    return packed, np.stack([np.tile(offsets, copies), words], axis=1)


def _row(operation: Linear, source: Slot, choice: Choice) -> int:
    """Bytes of a gathered row, whole words."""
    taps = as_conv(operation.weights.codes)[0, 0].size
    return -(-taps * source.shape[0] * choice.item // WORD_BYTES) * WORD_BYTES


def _offsets(operation: Linear, number: int, source: Slot) -> np.ndarray:
    """Bytes from a pixel to the begin of each stretch: taps, or rows of taps."""
    if not isinstance(operation, Conv):
        return np.zeros(1, int)
    height, width = operation.weights.codes.shape[2:]
    y = np.arange(height) * operation.dilation[0] - operation.padding[0]
    x = np.arange(width) * operation.dilation[1] - operation.padding[1]
    taps = y[:, None] * source.pitch + x * source.stride
    return (taps if number == height * width else taps[:, 0]).flatten() * source.itemsize


def pack_plane(plane: np.ndarray, rows: tuple[int, int], item: int, copies: int = 1) -> np.ndarray:
    """[O, I, kh, kw] to [blocks, words, BLOCK, elements of a word], zeros where it is padded."""
    first = plane.clip(-128, 127) if copies == 2 else plane
    parts = [first, plane - first][:copies]
    outputs = len(plane)
    depth = [part.transpose(0, 2, 3, 1).reshape(outputs, *rows) for part in parts]
    padding = (0, -outputs % BLOCK), (0, 0), (0, -(rows[1] * item) % WORD_BYTES // item)
    table = np.pad(np.concatenate(depth, axis=1), padding).astype(f"int{8 * item}")
    blocks = table.reshape(-1, BLOCK, table[0].size * item // WORD_BYTES, WORD_BYTES // item)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def by_tiles(planes: np.ndarray, group: int, most: int) -> np.ndarray:
    """[points, blocks, words, ...] in the order in which tiles of at most so many blocks of a group
    read: all points of a tile's blocks, word by word, a word of all its blocks at once.
    """
    blocks = planes.shape[1]
    made = [
        planes[:, start : min(start + most, end, blocks)].swapaxes(1, 2).ravel()
        for end in range(group, blocks + group, group)
        for start in range(end - group, min(end, blocks), most)
    ]
    return np.concatenate(made)


def _depthwise(
    operation: Linear, planes: tuple[np.ndarray, ...], source: Slot
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Two taps of a channel in a word; an odd one's partner is itself, with the weight 0."""
    taps = planes[0][0, 0].size
    offsets = _offsets(operation, taps, source)
    offsets = np.append(offsets, offsets[-1:]) if taps % 2 else offsets
    packed = []
    for plane in planes:
        table = plane.reshape(len(plane), taps)
        padded = np.pad(table, ((0, -len(table) % BLOCK), (0, taps % 2))).astype(np.int16)
        pairs = padded.reshape(-1, BLOCK, len(offsets) // 2, 2)
        packed.append(np.ascontiguousarray(pairs.transpose(0, 2, 1, 3)))
    return tuple(packed), np.stack([offsets, np.ones_like(offsets)], axis=1)
