"""Small image sets for the tests of the loaders."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dyadic.data.synthetic import Synthetic


@pytest.fixture
def tiny() -> Synthetic:
    """Generated: 50 training and 20 test images of 3 x 12 x 12 pixels."""
    return Synthetic(classes=4, channels=3, size=12, train_images=50, test_images=20)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """ImageNet's layout with 2 classes, 8 training and 3 test images each; the folder above it."""
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("val", 3)):
        for label in ("n01", "n02"):
            folder = tmp_path / "imagenet" / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (40 + i, 50, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path
