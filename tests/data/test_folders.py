import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from dyadic.data import ImageFolders
from dyadic.data import folders as module
from dyadic.errors import UserError
from dyadic.record.fingerprint import of_folder


def image_set(root: Path, **options: object) -> ImageFolders:
    chosen = {"batch_size": 4, "image_size": 16, "workers": 0} | options
    statistics = {"mean": [0.5] * 3, "std": [0.25] * 3}
    return ImageFolders("folders", "imagenet", data_dir=root, **(statistics | chosen))


def as_lists(batches: object) -> list:
    return [(images.tolist(), labels.tolist()) for images, labels in batches]


def test_an_epoch_is_the_same_for_any_number_of_workers(folders: Path) -> None:
    alone, helped = image_set(folders, seed=1), image_set(folders, seed=1, workers=2)
    assert as_lists(alone.train_batches(2)) == as_lists(helped.train_batches(2))
    assert as_lists(alone.train_batches(2)) != as_lists(alone.train_batches(3))


def test_order_and_augmentation_are_of_the_seed_and_of_the_epoch(folders: Path) -> None:
    def shown(seed: int, epoch: int, **options: object) -> tuple[bytes, ...]:
        batches = image_set(folders, seed=seed, **options).train_batches(epoch)
        return tuple(image.numpy().tobytes() for images, _ in batches for image in images)

    keys = [(0, 0), (0, 1), (1, 0)]
    plain = [shown(*key, crop_area=None, flip=False) for key in keys]
    assert len({frozenset(images) for images in plain}) == 1
    assert len(set(plain)) == 3
    assert len({frozenset(shown(*key)) for key in keys}) == 3


def test_reading_leaves_the_global_generator_alone(folders: Path) -> None:
    before = torch.get_rng_state()
    list(image_set(folders).train_batches(0))
    assert torch.equal(before, torch.get_rng_state())


def test_shapes_types_and_classes(folders: Path) -> None:
    data = image_set(folders)
    assert (data.classes, data.image_shape) == (2, (3, 16, 16))
    assert len(data.train_batches(0)) == 4
    images, labels = data.test_arrays()
    assert images.shape == (6, 3, 16, 16)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]


def test_held_out_and_trained_images_are_disjoint(folders: Path) -> None:
    data = image_set(folders, holdout=6)
    held_out, trained = set(data.held_out), set(data.train)
    assert len(held_out) == 6
    assert len(trained) == 10
    assert not held_out & trained
    assert sum(len(labels) for _, labels in data.validation_batches()) == 6
    assert sum(len(labels) for _, labels in data.calibration_batches(7)) == 7


def test_a_missing_folder_is_named_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"imagenet; .*\{train,val\}/<class>/<picture>"):
        image_set(tmp_path)


def test_classes_must_agree(folders: Path) -> None:
    (folders / "imagenet" / "val" / "n02").rename(folders / "imagenet" / "val" / "n03")
    with pytest.raises(UserError, match="class n02 is in train alone"):
        image_set(folders)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_in_one_line(folders: Path, workers: int) -> None:
    broken = folders / "imagenet" / "val" / "n01" / "1.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(UserError, match=r"1\.png cannot be decoded") as error:
        image_set(folders, workers=workers).test_arrays()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("holdout", -1), ("holdout", 16), ("workers", -1), ("train_share", 0)),
        *(("resize", 0.99), ("rotation", -0.1), ("light", 1), ("light", -0.1)),
        *(("crop_area", area) for area in ([0.5, 0.2], [0, 0.5], [0.5, 1.1], [1], [0.1, 0.5, 1])),
    ],
)
def test_a_value_out_of_range_is_named(folders: Path, option: str, value: int) -> None:
    with pytest.raises(UserError, match=re.escape(f"{option}={value}")):
        image_set(folders, **{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("holdout", 0), ("holdout", 15), ("train_share", 1), ("resize", 1), ("light", 0.99)),
        *(("crop_area", area) for area in ([0.01, 0.01], [1, 1], (0.5, 0.5))),
    ],
)
def test_the_ends_of_a_range_are_accepted(folders: Path, option: str, value: object) -> None:
    data = image_set(folders, **{option: value})
    assert len(data.train) + len(data.held_out) == 16
    assert all(len(labels) for _, labels in data.train_batches(0))


def test_without_val_a_fifth_of_each_class_is_for_testing(folders: Path) -> None:
    data = ImageFolders("folders", folders / "imagenet" / "train", [0.5] * 3, [0.25] * 3)
    assert (len(data.train), len(data.test)) == (12, 4)  # 8 pictures: 1.6 is nearer to 2


def test_mean_and_std_are_measured_on_the_training_pictures(folders: Path) -> None:
    data = image_set(folders, mean=None, std=None)
    pixels = torch.cat([x for x, _ in data.calibration_batches(99)]).double() / 255
    mean, std = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3), correction=0)
    assert data.mean == pytest.approx(mean.tolist(), abs=1e-4)
    assert data.std == pytest.approx(std.tolist(), abs=1e-4)
    assert all(number == round(number, 4) for number in (*data.mean, *data.std))
    for one in ({"mean": None}, {"std": None}):
        half = image_set(folders, **one)
        assert (half.mean, half.std) == (data.mean, data.std)


def test_mean_and_std_of_many_pictures_are_those_of_the_first(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATISTICS_IMAGES", 5)
    data = image_set(folders, mean=None, std=None, image_size=2)
    first = torch.cat([x for x, _ in data.plain_batches(data.train, torch.arange(5))]) / 255
    assert data.mean == pytest.approx(first.mean((0, 2, 3)).tolist(), abs=1e-4)


def test_mean_and_std_are_measured_again_only_where_other_pictures_are_seen(
    folders: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DYADIC_CACHE", str(tmp_path / "cache"))
    first = image_set(folders, mean=None, std=None)
    measured = []
    monkeypatch.setattr(
        ImageFolders, "_measured", lambda data: measured.append(data) or ([0.5] * 3, [0.25] * 3)
    )
    again = image_set(folders, mean=None, std=None)
    assert (again.mean, again.std) == (first.mean, first.std)
    assert not measured
    assert image_set(folders, mean=None, std=None, image_size=9).mean == (0.5,) * 3
    next((folders / "imagenet" / "train" / "n01").iterdir()).unlink()
    assert image_set(folders, mean=None, std=None).mean == (0.5,) * 3


def test_a_share_of_the_training_pictures_and_a_batch_larger_than_it(
    folders: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = image_set(folders, train_share=0.25, batch_size=9)
    assert [len(labels) for _, labels in data.train_batches(0)] == [4]
    assert "a batch is all 4 training pictures, fewer than batch_size=9" in caplog.text
    caplog.clear()
    image_set(folders, batch_size=16)
    assert not caplog.text
    assert set(data.train) < set(image_set(folders).train)


def test_every_augmentation_can_be_left_out(folders: Path) -> None:
    plain = {"crop_area": None, "flip": False}
    data = image_set(folders, **plain)
    trained = torch.cat([x for x, _ in data.train_batches(0)])
    tested = torch.cat([x for x, _ in data.calibration_batches(16)])
    assert sorted(map(str, trained.tolist())) == sorted(map(str, tested.tolist()))
    for option in ({"flip": True}, {"rotation": 30.0}, {"light": 0.5}, {"crop_area": [0.2, 0.5]}):
        changed = image_set(folders, **(plain | option))
        assert not torch.equal(torch.cat([x for x, _ in changed.train_batches(0)]), trained)


def test_pictures_are_cut_out_or_squeezed_to_any_sides(folders: Path) -> None:
    cut, squeezed = (image_set(folders, image_size=[8, 24], crop=c) for c in (True, False))
    for data in (cut, squeezed):
        assert next(iter(data.train_batches(0)))[0].shape[1:] == (3, 8, 24)
        assert data.test_arrays()[0].shape[1:] == (3, 8, 24)
    assert not torch.equal(cut.test_arrays()[0], squeezed.test_arrays()[0])


def test_grey_asks_for_one_channel(folders: Path) -> None:
    grey = image_set(folders, channels=1, mean=[0.5], std=[0.25])
    assert grey.test_arrays()[0].shape[1:] == (1, 16, 16)
    assert image_set(folders).channels == 3
    first = folders / "imagenet" / "train" / "n01" / "0.png"
    Image.open(first).convert("L").save(first)
    assert image_set(folders, mean=[0.5], std=[0.25]).channels == 1


def test_changed_pictures_change_the_fingerprint_and_a_listing_is_kept_to(folders: Path) -> None:
    before = image_set(folders).fingerprint()
    assert re.fullmatch("[0-9a-f]{16}", before)
    listing = of_folder(folders / "imagenet", times=False)
    image_set(folders, listing=listing)
    (folders / "imagenet" / "train" / "n01" / "0.png").unlink()
    assert image_set(folders).fingerprint() != before
    with pytest.raises(UserError, match="does not hold the files that it held"):
        image_set(folders, listing=listing)


def test_a_folder_is_looked_for_here_first(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folders)
    assert image_set(Path("nowhere")).root == Path("imagenet")
