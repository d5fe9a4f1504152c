"""Image sets on disk: a folder of pictures by class, decoded by worker processes.

A folder of a user and ImageNet are the same thing (`dyadic.data.listing` has the layout).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import rotate

from dyadic.data.augment import covering, lit, resized
from dyadic.data.image_set import Batch, Batches, ImageSet, Size, checked_statistics, share_of
from dyadic.data.listing import Samples, listed
from dyadic.data.order import CPU, generator, shuffled_batches, this_rank
from dyadic.data.pictures import channels_of, read_picture
from dyadic.errors import UserError, check_least
from dyadic.record.files import Damaged, read_sealed, write_sealed
from dyadic.record.fingerprint import of_folder
from dyadic.record.identity import digest
from dyadic.record.places import cache_directory

log = logging.getLogger(__name__)
STATISTICS_IMAGES = 2000  # training pictures that mean and std are measured on, at most
Transform = Callable[[Tensor], Tensor]  # of one picture, uint8 [C, H, W]


class ImageFolders(ImageSet):
    """Pictures in `{train,val}/<class>/`, or in `<class>/`, of any size, as images of one size.

    folder      where it is, from the current directory or else from `data_dir`
    mean, std   None: measured on training pictures as they are tested
    channels    1 grey, 3 colours; None: what the first training picture has
    val_share   without `val`, this share of each class is for testing, drawn once
    holdout     so many training pictures, drawn once, are kept for validation
    train_share share of the others that is trained on, drawn once
    crop        False: the whole picture is squeezed into the image size
    resize      a tested picture covers so many times the image size, and its middle is cut out
    crop_area   training cuts out a random part of the area, from and to (Szegedy et al. 2015); None
                leaves it as in testing
    flip        half of the training pictures are mirrored
    rotation    and turned by up to so many degrees
    light       and their brightness and contrast vary by up to this share
    workers     processes that decode; they change nothing but the speed
    listing     digest of the names and sizes of its files, where these must not have changed
    """

    train: Samples
    held_out: Samples
    test: Samples

    def __init__(
        self,
        name: str,
        folder: str | Path,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *,
        data_dir: str | Path = "data",
        channels: int | None = None,
        batch_size: int = 256,
        seed: int = 0,
        val_share: float = 0.2,
        holdout: int = 0,
        train_share: float = 1.0,
        image_size: Size = 224,
        crop: bool = True,
        resize: float = 256 / 224,
        crop_area: Sequence[float] | None = (0.08, 1.0),
        flip: bool = True,
        rotation: float = 0.0,
        light: float = 0.0,
        workers: int = 4,
        listing: str = "",
    ) -> None:
        self.root = Path(folder) if Path(folder).is_dir() else Path(data_dir, folder)
        if listing and listing != of_folder(self.root, times=False):
            raise UserError(f"{self.root} does not hold the files that it held ({listing})")
        found = listed(self.root, val_share)
        channels = channels_of(found.train[0][0]) if channels is None else channels
        classes = len(found.classes)
        super().__init__(name, classes, channels, image_size, batch_size, seed, found.classes)
        self.crop, self.resize, self.crop_area = crop, resize, crop_area
        self.flip, self.rotation, self.light, self.workers = flip, rotation, light, workers
        self._check_options()
        self._share_out(found.train, holdout, train_share)
        self.test = found.test
        if mean is None or std is None:
            mean, std = self._statistics()
        self.mean, self.std = checked_statistics(name, channels, mean, std)

    def _check_options(self) -> None:
        area = [1, 1] if self.crop_area is None else list(self.crop_area)
        if len(area) != 2 or not 0 < area[0] <= area[1] <= 1:
            raise UserError(f"{self.name}: crop_area={area}; from and to, above 0 up to 1")
        check_least(1, resize=self.resize)
        check_least(0, rotation=self.rotation, light=self.light, workers=self.workers)
        if self.light >= 1:
            raise UserError(f"{self.name}: light={self.light}; it must be below 1")

    def _share_out(self, samples: Samples, holdout: int, train_share: float) -> None:
        """Training and held-out pictures, in a fixed order: the listing's is by class."""
        if not 0 <= holdout < len(samples):
            raise UserError(
                f"{self.name}: holdout={holdout}; it is below the {len(samples)} training pictures"
            )
        order = torch.randperm(len(samples), generator=generator("listing"))
        kept = len(samples) - holdout
        self.train = [samples[i] for i in share_of(order[:kept], train_share).tolist()]
        self.held_out = [samples[i] for i in order[kept:].tolist()]
        if self.batch_size > len(self.train):
            log.warning(
                "%s: a batch is all %d training pictures, fewer than batch_size=%d",
                self.name, len(self.train), self.batch_size,
            )  # fmt: skip

    def _statistics(self) -> tuple[list[float], list[float]]:
        """`_measured`, once: kept by the files and by what is seen of them."""
        pictures = [path for path, _ in self.train[:STATISTICS_IMAGES]]
        seen = [self.fingerprint(), pictures, *self.image_shape, self.crop, self.resize]
        kept = cache_directory() / f"mean-std-{digest(seen)[:16]}.json"
        with suppress(Damaged, FileNotFoundError):
            found = read_sealed(kept)
            return found["mean"], found["std"]
        mean, std = self._measured()
        log.info("%s: measured mean=%s std=%s", self.name, mean, std)
        write_sealed(kept, {"mean": mean, "std": std})
        return mean, std

    def _measured(self) -> tuple[list[float], list[float]]:
        """Mean and std of each channel, on the scale where white is 1, of training pictures."""
        count, (total, squares) = 0, torch.zeros(2, self.channels, dtype=torch.float64)
        for images, _ in self.plain_batches(
            self.train, torch.arange(min(len(self.train), STATISTICS_IMAGES))
        ):
            values = images.double() / 255
            count += values[:, 0].numel()
            total += values.sum((0, 2, 3))
            squares += values.square().sum((0, 2, 3))
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return [round(x, 4) for x in mean.tolist()], [round(x, 4) for x in std.tolist()]

    def train_batches(self, epoch: int, device: torch.device = CPU) -> Batches:
        batches = shuffled_batches(len(self.train), self.batch_size, generator(self.seed, epoch))
        images = _Decoded(self.train, self.channels, self._augmented, (self.seed, epoch))
        return _Loader(images, [this_rank(batch) for batch in batches], self.workers)

    def fingerprint(self) -> str:
        """Of the names, sizes and times of the files."""
        return of_folder(self.root)

    def plain_batches(self, part: Samples, numbers: Tensor) -> Batches:
        images = _Decoded(part, self.channels, self._tested)
        return _Loader(images, numbers.split(self.batch_size), self.workers)

    def _tested(self, picture: Tensor) -> Tensor:
        if not self.crop:
            return resized(picture[None], self.image_size)[0]
        return covering(picture[None], self.image_size, self.resize)[0]

    def _augmented(self, picture: Tensor) -> Tensor:
        """One training picture, by random numbers of torch's global generator."""
        if self.rotation:
            angle = self.rotation * float(torch.empty(()).uniform_(-1, 1))
            picture = rotate(picture, angle, InterpolationMode.BILINEAR)
        if self.crop_area is None:
            picture = self._tested(picture)
        else:
            aspect = self.image_size[1] / self.image_size[0]
            ratio = [3 / 4 * aspect, 4 / 3 * aspect]
            top, left, height, width = RandomResizedCrop.get_params(
                picture, list(self.crop_area), ratio
            )
            part = picture[:, top : top + height, left : left + width]
            picture = resized(part[None], self.image_size)[0]
        if self.flip and torch.rand(()) < 0.5:
            picture = picture.flip(2)
        if self.light:
            factors = 1 + self.light * torch.empty(2).uniform_(-1, 1)
            picture = lit(picture[None], factors[:1], factors[1:])[0]
        return picture


class _Decoded(Dataset[tuple[Tensor, int]]):
    """Images as uint8 [C, H, W], each transformed by random numbers of its own (key, number)."""

    def __init__(
        self, samples: Samples, channels: int, transform: Transform, key: tuple[int, ...] = ()
    ) -> None:
        self.samples, self.channels = samples, channels
        self.transform, self.key = transform, key

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        path, label = self.samples[number]
        picture = read_picture(path, self.channels)
        # torchvision draws from the global generator: seeded by image here, and left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator(*self.key, number).initial_seed())
            return self.transform(picture), label


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
