"""Generated images that a small network can learn: for tests and smoke runs, without a download."""

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dyadic.data.memory import Labelled
from dyadic.data.order import generator
from dyadic.errors import UserError

COARSE = 4  # a class is a smooth pattern: so many random values a side, enlarged to the image


@dataclass(frozen=True)
class Synthetic:
    """A smooth random pattern for each class, in noise, rolled by up to an eighth of the image.

    noise     standard deviation of the noise, that of the patterns being about 0.7
    data_seed determines the images; the seed of a run only their order
    """

    classes: int = 10
    channels: int = 1
    size: int = 16
    train_images: int = 1024
    test_images: int = 256
    noise: float = 0.5
    data_seed: int = 0

    def __post_init__(self) -> None:
        if min(self.classes, self.channels, self.size, self.train_images, self.test_images) < 1:
            raise UserError(f"{self}: classes, channels, size and images must be at least 1")

    def __call__(self, data_dir: Path) -> tuple[Labelled, Labelled]:
        """Training and test set; nothing is read from `data_dir`."""
        source = generator("synthetic", self.data_seed)
        shape = (self.classes, self.channels, COARSE, COARSE)
        coarse = torch.randn(shape, generator=source)
        patterns = F.interpolate(coarse, (self.size, self.size), mode="bilinear")
        return (
            self._labelled(patterns, self.train_images, source),
            self._labelled(patterns, self.test_images, source),
        )

    def _labelled(self, patterns: Tensor, count: int, source: torch.Generator) -> Labelled:
        labels = torch.randint(self.classes, (count,), generator=source)
        reach = self.size // 8
        shifts = torch.randint(-reach, reach + 1, (count, 2), generator=source).tolist()
        pairs = zip(labels, shifts, strict=True)
        values = torch.stack([patterns[k].roll(tuple(shift), (1, 2)) for k, shift in pairs])
        values += self.noise * torch.randn(values.shape, generator=source)
        return Labelled((127.5 + 64 * values).clamp(0, 255).to(torch.uint8), labels)
