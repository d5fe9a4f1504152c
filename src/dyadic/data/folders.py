"""Large image sets on disk: ImageNet's folder layout, decoded by worker processes."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from dyadic.data.image_set import Batch, Batches, ImageSet
from dyadic.data.order import generator, shuffled_batches, this_rank
from dyadic.errors import UserError
from dyadic.record.fingerprint import of_folder

Samples = list[tuple[str, int]]  # path, label


class ImageFolders(ImageSet):
    """`data_dir/folder/{train,val}/<class>/<image>`, the layout of ImageNet.

    Training images: a random part of 8 to 100 % of the area, resized, mirrored half of the time
    (Szegedy et al. 2015). Test images: the shorter side to 256/224 of the size, centre crop.

    workers  processes that decode; they change nothing but the speed
    holdout  so many images of a fixed random order (not of the seed's) are kept for validation
    """

    held_out: Samples

    def __init__(
        self,
        name: str,
        folder: str,
        mean: Sequence[float],
        std: Sequence[float],
        *,
        data_dir: str | Path = "data",
        batch_size: int = 256,
        seed: int = 0,
        holdout: int = 0,
        image_size: int = 224,
        workers: int = 4,
    ) -> None:
        self.root = root = Path(data_dir, folder)
        train, test = _listing(root / "train"), _listing(root / "val")
        if train.classes != test.classes:
            raise UserError(f"{root}: train and val hold different class folders; they must agree")
        names = train.classes
        super().__init__(name, len(names), 3, image_size, mean, std, batch_size, seed, names)
        if not 0 <= holdout < len(train.samples) or workers < 0:
            raise UserError(
                f"{name}: holdout={holdout}, workers={workers}; holdout is below the "
                f"{len(train.samples)} training images, workers 0 or more"
            )
        # The listing is sorted by class, so that its end would be one class only.
        order = torch.randperm(len(train.samples), generator=generator("listing")).tolist()
        kept = [train.samples[i] for i in order]
        self.train, self.held_out = kept[: len(kept) - holdout], kept[len(kept) - holdout :]
        self.test, self.workers = test.samples, workers

    def train_batches(self, epoch: int) -> Batches:
        """Augmented training batches of an epoch, a pure function of (seed, epoch)."""
        batches = shuffled_batches(len(self.train), self.batch_size, generator(self.seed, epoch))
        augment = v2.Compose(
            [v2.RandomResizedCrop(self.image_size), v2.RandomHorizontalFlip(), v2.PILToTensor()]
        )
        images = _Decoded(self.train, augment, (self.seed, epoch))
        return _Loader(images, [this_rank(batch) for batch in batches], self.workers)

    def test_batches(self) -> Batches:
        """The test set in its own order."""
        return self._plain(self.test, torch.arange(len(self.test)))

    def validation_batches(self) -> Batches:
        """The held-out training images; UserError when holdout is 0."""
        if not self.held_out:
            raise UserError(f"{self.name}: no validation images; set dataset.holdout above 0")
        return self._plain(self.held_out, torch.arange(len(self.held_out)))

    def calibration_batches(self, images: int) -> Batches:
        """The first training images of a fixed order that the seed gives, not augmented."""
        order = torch.randperm(len(self.train), generator=generator(self.seed, "calibration"))
        return self._plain(self.train, order[:images])

    def fingerprint(self) -> str:
        """Of the names, sizes and times of the files."""
        return of_folder(self.root)

    def _plain(self, samples: Samples, numbers: Tensor) -> Batches:
        side = round(self.image_size * 256 / 224)
        centre = v2.Compose([v2.Resize(side), v2.CenterCrop(self.image_size), v2.PILToTensor()])
        return _Loader(_Decoded(samples, centre), numbers.split(self.batch_size), self.workers)


def _listing(folder: Path) -> ImageFolder:
    try:
        return ImageFolder(folder)
    except FileNotFoundError as error:
        raise UserError(
            f"no images in {folder} ({str(error).splitlines()[0]}); "
            "the layout is {train,val}/<class>/<image>"
        ) from None


class _Decoded(Dataset[tuple[Tensor, int]]):
    """Images as uint8 [3, H, W], each transformed by random numbers of its own (key, number)."""

    def __init__(self, samples: Samples, transform: v2.Compose, key: tuple[int, ...] = ()) -> None:
        self.samples, self.transform, self.key = samples, transform, key

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self.samples[number]
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise UserError(f"{path} cannot be decoded ({error}); replace it") from None
        # torchvision draws from the global generator: seeded by image here, and left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(*self.key, number).initial_seed())
            return self.transform(image), label


class _Loader:
    """The batches of a DataLoader, whose errors in a worker stay one line."""

    def __init__(self, images: _Decoded, numbers: Sequence[Tensor], workers: int) -> None:
        self.images, self.numbers, self.workers = images, numbers, workers

    def __iter__(self) -> Iterator[Batch]:
        loader = DataLoader(
            self.images,
            batch_sampler=[batch.tolist() for batch in self.numbers],
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # or it would draw a seed from the global one
        )
        try:
            yield from loader
        except UserError as error:  # a worker's error arrives with its traceback as text
            raise UserError(str(error).splitlines()[-1].split("UserError: ")[-1]) from None

    def __len__(self) -> int:
        return len(self.numbers)
