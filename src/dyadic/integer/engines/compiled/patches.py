"""Layers by Winograd's algorithms, packed: a product for each point of a patch."""

import numpy as np

from dyadic.integer.engines.compiled.choose import BLOCK, Choice
from dyadic.integer.engines.compiled.gemm import Gemm, by_tiles, pack_plane, padded
from dyadic.integer.engines.compiled.lanes import Lanes
from dyadic.integer.engines.compiled.sets import InstructionSet
from dyadic.integer.engines.compiled.winograd import PATCHES, Patch, weights
from dyadic.integer.program.operations import Conv

TILE_BYTES = 4 * 64  # of a pixel's sums in the widest tile


def pack_patches(
    operation: Conv, choice: Choice, patch: Patch, largest: int, path: InstructionSet
) -> Gemm:
    """The layer by the patch's algorithm; no accumulator is beyond `largest`."""
    plane = operation.weights.planes[0]
    inputs = plane.shape[1]
    points = weights(plane // patch.factor, patch.algorithm)
    packed = np.stack([pack_plane(p[:, :, None, None], (1, inputs), choice.item) for p in points])
    blocks, words = packed.shape[1:3]
    lanes = blocks * BLOCK
    shifts = (-128 if path.signed else 0) - patch.low if choice.unit == "dot8" else 0 * patch.low
    added = -shifts[:, None] * points.sum(2)
    limit = patch.at_once(inputs)
    sums = PATCHES * TILE_BYTES * (len(points) + patch.m**2)
    return Gemm(
        False,
        (by_tiles(packed, blocks, path.tile_blocks),),
        (padded(operation.bias, lanes).astype(np.int32),),
        Lanes.of(operation, lanes, largest),
        np.array([[0, words]]),
        blocks,
        0,
        patch.row(inputs),
        words,
        limit,
        limit * patch.size(inputs) + sums,
        shifts.astype(np.uint8),
        np.pad(added, ((0, 0), (0, lanes - len(plane)))).astype(np.int32),
    )
