"""Small image sets, held in memory whole and augmented a batch at a time."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dyadic.data.augment import mirrored, resized, shifted
from dyadic.data.image_set import (
    Batch,
    Batches,
    ImageSet,
    MadeBatches,
    Size,
    checked_statistics,
    share_of,
)
from dyadic.data.order import CPU, generator, shuffled_batches, this_rank
from dyadic.errors import UserError, check_least


@dataclass(frozen=True)
class Labelled:
    """uint8 images [N, C, H, W] with int64 labels [N]; the names of the classes, if any."""

    images: Tensor
    labels: Tensor
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)


Source = Callable[[Path], tuple[Labelled, Labelled]]  # folder -> training set, test set


class InMemory(ImageSet):
    """An image set in memory: every batch is gathered, shifted, mirrored and resized at once.

    source       reads or makes the two sets, given the folder `data_dir`
    mean, std    of each channel, on the scale where white is 1
    holdout      so many images at the end of the training set are kept for validation
    train_share  share of the others that is trained on, drawn once, whatever the seed
    image_size   images are resized to it after augmentation; None keeps their own size
    crop_padding largest shift in pixels
    flip         mirror half of the images; which half alternates from epoch to epoch, so that two
                 epochs show every image both ways (Jordan 2024, "94% on CIFAR-10", section 3.6)
    """

    train: Labelled
    held_out: Labelled
    test: Labelled

    def __init__(
        self,
        name: str,
        source: Source,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        data_dir: str | Path = "data",
        batch_size: int = 128,
        seed: int = 0,
        holdout: int = 0,
        train_share: float = 1.0,
        image_size: Size | None = None,
        crop_padding: int = 0,
        flip: bool = False,
    ) -> None:
        train, test = source(Path(data_dir))
        channels, *own_size = train.images.shape[1:]
        size = own_size if image_size is None else image_size
        super().__init__(name, classes, channels, size, batch_size, seed, test.names)
        self.mean, self.std = checked_statistics(name, channels, mean, std)
        if not 0 <= holdout < len(train):
            raise UserError(f"{name}: holdout={holdout}; it is 0 up to {len(train) - 1} images")
        check_least(0, crop_padding=crop_padding)
        kept = len(train) - holdout
        self.train = Labelled(train.images[:kept], train.labels[:kept])
        if train_share != 1:
            order = torch.randperm(kept, generator=generator("train_share"))
            chosen = share_of(order, train_share)
            self.train = Labelled(train.images[chosen], train.labels[chosen])
        self.held_out = Labelled(train.images[kept:], train.labels[kept:])
        self.test = test
        self.crop_padding, self.flip = crop_padding, flip

    def train_batches(self, epoch: int, device: torch.device = CPU) -> Batches:
        source = generator(self.seed, epoch)
        batches = shuffled_batches(len(self.train), self.batch_size, source, device)
        offsets = torch.randint(2 * self.crop_padding + 1, (len(self.train), 2), generator=source)
        left = torch.rand(len(self.train), generator=generator(self.seed, "mirror")) < 0.5
        mirror = left ^ bool(epoch % 2)
        # An epoch's at once: a transfer in a step would wait for what the device has yet to do.
        images, labels, offsets, mirror = (
            x.to(device) for x in (self.train.images, self.train.labels, offsets, mirror)
        )

        def augmented(numbers: Tensor) -> Batch:
            batch = shifted(images[numbers], offsets[numbers], self.crop_padding)
            if self.flip:
                batch = mirrored(batch, mirror[numbers])
            return resized(batch, self.image_size), labels[numbers]

        return MadeBatches([this_rank(batch) for batch in batches], augmented)

    def fingerprint(self) -> str:
        """Of the pixels and labels of both sets."""
        parts = (self.train, self.held_out, self.test)
        tensors = [tensor for part in parts for tensor in (part.images, part.labels)]
        return hashlib.sha256(b"".join(x.numpy().tobytes() for x in tensors)).hexdigest()[:16]

    def plain_batches(self, part: Labelled, numbers: Tensor) -> Batches:
        def unchanged(numbers: Tensor) -> Batch:
            return resized(part.images[numbers], self.image_size), part.labels[numbers]

        return MadeBatches(numbers.split(self.batch_size), unchanged)
