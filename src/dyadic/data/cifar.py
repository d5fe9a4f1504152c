"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): 50 000 + 10 000 colour images of 32 x 32 pixels."""

from pathlib import Path

import torch
from torchvision.datasets import CIFAR10, CIFAR100

from dyadic.data.memory import Labelled
from dyadic.errors import UserError


def cifar10(data_dir: Path) -> tuple[Labelled, Labelled]:
    """Training and test set of CIFAR-10, downloaded into `data_dir` where it is not there yet."""
    return _read(CIFAR10, data_dir)


def cifar100(data_dir: Path) -> tuple[Labelled, Labelled]:
    """Training and test set of CIFAR-100 (fine labels), downloaded where it is not there yet."""
    return _read(CIFAR100, data_dir)


def _read(dataset: type[CIFAR10], data_dir: Path) -> tuple[Labelled, Labelled]:
    """Through torchvision, which compares every file with its checksum before it reads it."""
    try:
        train, test = (dataset(data_dir, train=part, download=True) for part in (True, False))
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{dataset.__name__} is not in {data_dir / dataset.base_folder}, or damaged, and its "
            f"download failed ({error}); put the unpacked {dataset.filename} there"
        ) from None
    return _labelled(train), _labelled(test)


def _labelled(part: CIFAR10) -> Labelled:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Labelled(images, torch.tensor(part.targets), tuple(part.classes))
