import base64
import io

import numpy as np
import pytest
from PIL import Image

from dyadic.report.charts.png import data_uri, encode


@pytest.mark.parametrize("channels", [1, 3])
def test_another_reader_sees_the_same_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
    read = np.asarray(Image.open(io.BytesIO(encode(pixels))))
    assert np.array_equal(read.reshape(pixels.shape), pixels)


def test_a_large_image_is_thinned() -> None:
    image = np.arange(3 * 224 * 224, dtype=np.uint8).reshape(3, 224, 224)
    content = base64.b64decode(data_uri(image).partition(",")[2])
    read = Image.open(io.BytesIO(content))
    assert read.size == (56, 56)
    assert np.array_equal(np.asarray(read), image[:, ::4, ::4].transpose(1, 2, 0))
