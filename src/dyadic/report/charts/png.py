"""Images as `data:` addresses, so that a page carries them itself."""

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR = 0, 2


def data_uri(image: NDArray[np.uint8], side: int = 64) -> str:
    """A uint8 image [channels, height, width] (1 or 3 channels) as the address of a PNG.

    Every k-th pixel is taken where the image is wider than `side`.
    """
    stride = -(-max(image.shape[1:]) // side)
    pixels = np.ascontiguousarray(image[:, ::stride, ::stride].transpose(1, 2, 0))
    return "data:image/png;base64," + base64.b64encode(encode(pixels)).decode("ascii")


def encode(pixels: NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG file; pixels uint8 [height, width, 1 or 3] (PNG, W3C, section 11.2)."""
    height, width, channels = pixels.shape
    kind = GREY if channels == 1 else COLOUR
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    # each row starts with its filter type, 0: the bytes as they are
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (1, 0))).tobytes()
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
