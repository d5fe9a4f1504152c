"""What every image set offers to training, calibration, evaluation and the integer engines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, Protocol

import torch
from torch import Tensor

from dyadic.data.order import CPU, generator
from dyadic.errors import UserError, check_least

Size = int | Sequence[int]
Batch = tuple[Tensor, Tensor]  # uint8 images [N, C, H, W], int64 labels [N]
WATCHED = 2000  # training images that stand for held-out ones where there are none


class Batches(Protocol):
    """Batches of one pass, in a fixed order: a new iteration gives the same batches again."""

    def __iter__(self) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...


class MadeBatches:
    """Batches made one at a time from lists of image numbers."""

    def __init__(self, numbers: Sequence[Tensor], make: Callable[[Tensor], Batch]) -> None:
        self.numbers, self.make = numbers, make

    def __iter__(self) -> Iterator[Batch]:
        return map(self.make, self.numbers)

    def __len__(self) -> int:
        return len(self.numbers)


def size_of(value: Size) -> tuple[int, int]:
    """(height, width) of an image size that may be one number.

    >>> size_of(8), size_of([8, 6])
    ((8, 8), (8, 6))
    """
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise UserError(f"image_size={value}; give pixels, or [height, width], each at least 1")
    return pair


def checked_statistics(
    name: str, channels: int, mean: Sequence[float], std: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std, one number for each channel; UserError where they are not that."""
    if not len(mean) == len(std) == channels or not min(std) > 0:
        raise UserError(
            f"{name}: mean={list(mean)}, std={list(std)}; give one number for each of the "
            f"{channels} channels, std above 0"
        )
    return tuple(mean), tuple(std)


def share_of(numbers: Tensor, share: float) -> Tensor:
    """The first part of these image numbers, at least one of them; `share` above 0 up to 1."""
    if not 0 < share <= 1:
        raise UserError(f"train_share={share}; a share of the training images, above 0 up to 1")
    return numbers[: max(round(share * len(numbers)), 1)]


class ImageSet(ABC):
    """A training and a test set of images of one size.

    name, classes, channels
    image_size (height, width), or one number for both
    batch_size of training (over all processes together) and of evaluation
    seed       with the epoch it determines order and augmentation
    class_names by label; the labels as text where the set names none
    mean, std  of each channel, on the scale where white is 1; applied by the network
    train, held_out, test  images to train on, those kept for validation (none where `holdout` is
               0), and to test on
    """

    train: Sized
    held_out: Sized
    test: Sized
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __init__(
        self,
        name: str,
        classes: int,
        channels: int,
        image_size: Size,
        batch_size: int,
        seed: int,
        class_names: Sequence[str] = (),
    ) -> None:
        check_least(1, batch_size=batch_size)
        check_least(0, seed=seed)
        self.name, self.classes, self.channels = name, classes, channels
        self.image_size = size_of(image_size)
        self.batch_size, self.seed = batch_size, seed
        if class_names and len(class_names) != classes:
            raise UserError(f"{name}: classes={classes}; the set has {len(class_names)}")
        self.class_names = tuple(class_names) or tuple(map(str, range(classes)))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        return self.channels, *self.image_size

    @abstractmethod
    def train_batches(self, epoch: int, device: torch.device = CPU) -> Batches:
        """Augmented training batches of an epoch, a pure function of (seed, epoch).

        Images that are in memory are gathered and augmented on the device; others stay where they
        were read, for the trainer to move.
        """

    @abstractmethod
    def plain_batches(self, part: Any, numbers: Tensor) -> Batches:
        """Images of `train`, `held_out` or `test`, by their numbers, not augmented."""

    def test_batches(self) -> Batches:
        """The test set in its own order."""
        return self.plain_batches(self.test, torch.arange(len(self.test)))

    def validation_batches(self) -> Batches:
        """Held-out training images, for choices that must not see the test set.

        Raises UserError where none are held out.
        """
        if not len(self.held_out):
            raise UserError(f"{self.name}: no validation images; holdout above 0 keeps some")
        return self.plain_batches(self.held_out, torch.arange(len(self.held_out)))

    def watched_batches(self) -> Batches:
        """What a training is watched on, epoch by epoch: never the test set.

        The held-out images; where none are held out, 2000 training images, not augmented.
        """
        return (
            self.validation_batches() if len(self.held_out) else self.calibration_batches(WATCHED)
        )

    def calibration_batches(self, images: int) -> Batches:
        """The first training images of a fixed order that the seed gives, not augmented."""
        order = torch.randperm(len(self.train), generator=generator(self.seed, "calibration"))
        return self.plain_batches(self.train, order[:images])

    @abstractmethod
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the images, for what must not outlive them."""

    def test_arrays(self) -> Batch:
        """All test images and labels at once, for the integer engines.

        Small sets only: ImageNet's test set at 224 pixels is 7 GiB.
        """
        images, labels = zip(*self.test_batches(), strict=True)
        return torch.cat(images), torch.cat(labels)
