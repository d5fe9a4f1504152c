"""One picture from a file: uint8 [C, H, W], whatever depth, colours and orientation it has.

Values are scaled to 0 .. 255 or refused: 16 bits by 255 / 65535, floats from 0 .. 1.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from PIL import Image, ImageOps
from torch import Tensor

from dyadic.errors import UserError, first_line

ARRAY = ".npy"  # [H, W] or [H, W, C], for pictures of other than 1, 3 or 4 channels
SUFFIXES = (*(".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp"), ARRAY)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
GREY = ("1", "L", "LA", "I", "F")  # and I;16 in its byte orders
DEEP = ("I", "F")
SCALES = "they must be 8 or 16 bits, or floats from 0 to 1"
UNDECODABLE = (OSError, ValueError, SyntaxError, EOFError)  # as Pillow raises them


def read_picture(path: str | Path, channels: int) -> Tensor:
    """A file's picture as uint8 [channels, H, W], turned as its EXIF orientation says.

    Colours become grey and grey becomes colours where `channels` asks for it.
    Raises UserError that names the file where it cannot be decoded or scaled.
    """
    try:
        return torch.from_numpy(_decoded(Path(path), channels))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except UNDECODABLE as error:
        raise UserError(f"{path} cannot be decoded ({first_line(error)}); replace it") from None


def channels_of(path: str | Path) -> int:
    """1 for a grey picture, 3 for one of colours; an array's last axis."""
    try:
        if Path(path).suffix.lower() == ARRAY:
            shape = open_memmap(path, mode="r").shape
            return shape[2] if len(shape) == 3 else 1
        with Image.open(path) as picture:
            return 1 if picture.mode in GREY or picture.mode.startswith("I;16") else 3
    except UNDECODABLE as error:
        raise UserError(f"{path} cannot be decoded ({first_line(error)}); replace it") from None


def _decoded(path: Path, channels: int) -> np.ndarray:
    if path.suffix.lower() == ARRAY:
        values = open_memmap(path, mode="r")  # no archive, no pickle, no size beyond the file's
        values = values[..., None] if values.ndim == 2 else values
        if values.ndim != 3 or values.shape[2] != channels:
            raise UserError(f"its shape is {list(values.shape)}; it must be [H, W, {channels}]")
        return np.array(_eight_bits(values).transpose(2, 0, 1), order="C")
    if channels not in MODES:
        raise UserError(f"channels={channels}; pictures have 1, 3 or 4, {ARRAY} files any number")
    with Image.open(path) as file:
        picture = ImageOps.exif_transpose(file)
        if picture.mode in DEEP or picture.mode.startswith("I;16"):
            picture = Image.fromarray(_eight_bits(np.asarray(picture)))
        values = np.asarray(picture.convert(MODES[channels]))
    return np.array(np.atleast_3d(values).transpose(2, 0, 1), order="C")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Values of any type as uint8, scaled; UserError where their scale is not known."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind not in "iuf":
        raise UserError(f"its values are {values.dtype}; {SCALES}")
    low, high = float(values.min()), float(values.max())
    floating = values.dtype.kind == "f"
    if low < 0 or not high <= (1 if floating else 65535):
        raise UserError(f"its values are {values.dtype} from {low:g} to {high:g}; {SCALES}")
    # 65535 = 257 * 255
    return np.round(values * 255.0 if floating else values / 257.0).astype(np.uint8)
