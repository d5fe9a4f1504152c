"""What every engine takes: uint8 images [N, C, H, W], cut into batches of a bounded size."""

from collections.abc import Iterator
from math import prod

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.operations import Program

BATCH_ELEMENTS = 2**24  # int64 values of all tensors of one batch: 128 MiB


def check_images(images: np.ndarray, program: Program) -> None:
    """Raise UserError unless the images are what the program takes: uint8 [N, C, H, W]."""
    if images.dtype != np.uint8 or images.shape[1:] != program.input_shape:
        given, expected = list(images.shape), ", ".join(map(str, program.input_shape))
        raise UserError(
            f"images are {images.dtype} {given}; the program takes uint8 [N, {expected}]"
        )


def batches(images: np.ndarray, proof: Proof) -> Iterator[np.ndarray]:
    """The images in order, contiguous, in batches; there is always one, even of no images.

    Raises: UserError unless the images are what the program takes.
    """
    check_images(images, proof.program)
    size = max(1, BATCH_ELEMENTS // sum(map(prod, proof.shapes.values())))
    for start in range(0, max(len(images), 1), size):
        yield np.ascontiguousarray(images[start : start + size])
