"""What every image set offers to training, calibration, evaluation and the integer engines."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Protocol

import torch
from torch import Tensor

from dyadic.errors import UserError

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


class ImageSet(ABC):
    """A training and a test set of square images.

    name, classes, channels, image_size
    mean, std  of each channel, on the scale where white is 1; applied by the network
    batch_size of training (over all processes together) and of evaluation
    seed       with the epoch it determines order and augmentation
    class_names by label; the labels as text where the set names none
    held_out   training images kept for validation; empty where `holdout` is 0
    """

    held_out: Sized

    def __init__(
        self,
        name: str,
        classes: int,
        channels: int,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        batch_size: int,
        seed: int,
        class_names: Sequence[str] = (),
    ) -> None:
        if batch_size < 1 or image_size < 1 or seed < 0:
            raise UserError(
                f"{name}: batch_size={batch_size}, image_size={image_size}, seed={seed}; "
                "the first two must be at least 1, the seed at least 0"
            )
        if not len(mean) == len(std) == channels or min(std) <= 0:
            raise UserError(
                f"{name}: mean={list(mean)}, std={list(std)}; give one number for each of the "
                f"{channels} channels, std above 0"
            )
        self.name, self.classes, self.mean, self.std = name, classes, tuple(mean), tuple(std)
        self.channels, self.image_size = channels, image_size
        self.batch_size, self.seed = batch_size, seed
        if class_names and len(class_names) != classes:
            raise UserError(f"{name}: classes={classes}; the set has {len(class_names)}")
        self.class_names = tuple(class_names) or tuple(map(str, range(classes)))

    @abstractmethod
    def train_batches(self, epoch: int) -> Batches:
        """Augmented training batches of an epoch, a pure function of (seed, epoch)."""

    @abstractmethod
    def test_batches(self) -> Batches:
        """The test set in its own order."""

    @abstractmethod
    def validation_batches(self) -> Batches:
        """Held-out training images, for choices that must not see the test set.

        Raises UserError where none are held out.
        """

    def watched_batches(self) -> Batches:
        """What a training is watched on, epoch by epoch: never the test set.

        The held-out images; where none are held out, 2000 training images, not augmented.
        """
        return (
            self.validation_batches() if len(self.held_out) else self.calibration_batches(WATCHED)
        )

    @abstractmethod
    def calibration_batches(self, images: int) -> Batches:
        """The first training images of a fixed order that the seed gives, not augmented."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Sixteen hex digits that change with the images, for what must not outlive them."""

    def test_arrays(self) -> Batch:
        """All test images and labels at once, for the integer engines.

        Small sets only: ImageNet's test set at 224 pixels is 7 GiB.
        """
        images, labels = zip(*self.test_batches(), strict=True)
        return torch.cat(images), torch.cat(labels)
