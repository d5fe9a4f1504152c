"""Fashion-MNIST (Xiao et al. 2017): 60 000 + 10 000 grey images of 28 x 28 pixels, 10 classes."""

import gzip
import math
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
import torchvision

from dyadic.data.memory import Labelled
from dyadic.errors import UserError

DEBIAN_PACKAGE = Path("/usr/share/datasets/fashion-mnist")  # of the package dataset-fashion-mnist
DOWNLOADED = Path("FashionMNIST", "raw")  # where torchvision puts the files
FILES = [
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]
CLASSES = (
    *("T-shirt", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
UNSIGNED_BYTES = 8  # the idx format's code for the type of its values


def fashion_mnist(data_dir: Path) -> tuple[Labelled, Labelled]:
    """Training and test set, from `data_dir`, Debian's package, or downloaded into `data_dir`.

    Raises UserError for a missing or damaged file, or where the download fails.
    """
    for folder in (data_dir, data_dir / DOWNLOADED, DEBIAN_PACKAGE):
        if any(_path(folder, name).exists() for name in FILES):
            return _read(folder)
    _download(data_dir)
    return _read(data_dir / DOWNLOADED)


def _read(folder: Path) -> tuple[Labelled, Labelled]:
    arrays = [read_idx(_path(folder, name)) for name in FILES]
    train_images, train_labels, test_images, test_labels = map(torch.from_numpy, arrays)
    return (
        Labelled(train_images[:, None], train_labels.long(), CLASSES),
        Labelled(test_images[:, None], test_labels.long(), CLASSES),
    )


def _path(folder: Path, name: str) -> Path:
    """The file, unpacked where it is, else as packed."""
    plain = folder / name
    return plain if plain.exists() else folder / f"{name}.gz"


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a file of LeCun's idx format, packed by gzip or not.

    Format: two zero bytes, the value type, the number of dimensions, each dimension as a big-endian
    32-bit number, the values. Raises UserError where the file is missing or is not that.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing; the folder must hold all of {', '.join(FILES)} (or with .gz)"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is damaged ({error}); replace it or delete its folder") from None
    dimensions = content[3] if content[:3] == bytes((0, 0, UNSIGNED_BYTES)) else 0
    shape = np.frombuffer(content[4 : 4 + 4 * dimensions], ">u4").tolist()
    values = content[4 + 4 * dimensions :]
    if dimensions == 0 or len(values) != math.prod(shape):
        raise UserError(
            f"{path} is damaged ({len(values)} values, shape {shape}); "
            "replace it or delete its folder"
        )
    return np.frombuffer(values, np.uint8).reshape(shape).copy()


def _download(data_dir: Path) -> None:
    """Download beside the final place, then rename: a torn download is never taken for data."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir) as temporary:
            torchvision.datasets.FashionMNIST(temporary, download=True)
            if not (data_dir / DOWNLOADED).exists():
                Path(temporary, DOWNLOADED.parent).rename(data_dir / DOWNLOADED.parent)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"Fashion-MNIST is neither in {data_dir} nor in {DEBIAN_PACKAGE}, and its download "
            f"failed ({error}); install Debian's dataset-fashion-mnist or put its files there"
        ) from None
