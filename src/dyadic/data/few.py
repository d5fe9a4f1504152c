"""A few images of a set, for trials of everything that a run does."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch

from dyadic.data.image_set import Batch, Batches, ImageSet
from dyadic.data.order import CPU

TRIAL_STEPS = 2  # batches of an epoch, and of every other pass
TRIAL_IMAGES = 32  # of a batch, at most


class FewBatches:
    """The first `TRIAL_STEPS` batches, of at most `TRIAL_IMAGES` images each."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in islice(self.batches, TRIAL_STEPS):
            yield images[:TRIAL_IMAGES], labels[:TRIAL_IMAGES]

    def __len__(self) -> int:
        return min(len(self.batches), TRIAL_STEPS)


class Few:
    """The first images of every pass over another set; all else is that set's."""

    def __init__(self, data: ImageSet) -> None:
        self.data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    def train_batches(self, epoch: int, device: torch.device = CPU) -> Batches:
        return FewBatches(self.data.train_batches(epoch, device))

    def test_batches(self) -> Batches:
        return FewBatches(self.data.test_batches())

    def validation_batches(self) -> Batches:
        return FewBatches(self.data.validation_batches())

    def watched_batches(self) -> Batches:
        return FewBatches(self.data.watched_batches())

    def calibration_batches(self, images: int) -> Batches:
        return self.data.calibration_batches(min(images, TRIAL_STEPS * TRIAL_IMAGES))

    def test_arrays(self) -> Batch:
        return ImageSet.test_arrays(self)  # type: ignore[arg-type]
