from pathlib import Path

import pytest
import torch

from dyadic.data import ImageFolders
from dyadic.errors import UserError


def image_set(root: Path, **options: object) -> ImageFolders:
    chosen = {"batch_size": 4, "image_size": 16, "workers": 0} | options
    return ImageFolders("folders", "imagenet", [0.5] * 3, [0.25] * 3, data_dir=root, **chosen)


def as_lists(batches: object) -> list:
    return [(images.tolist(), labels.tolist()) for images, labels in batches]


def test_an_epoch_is_the_same_for_any_number_of_workers(folders: Path) -> None:
    alone, helped = image_set(folders, seed=1), image_set(folders, seed=1, workers=2)
    assert as_lists(alone.train_batches(2)) == as_lists(helped.train_batches(2))
    assert as_lists(alone.train_batches(2)) != as_lists(alone.train_batches(3))


def test_reading_leaves_the_global_generator_alone(folders: Path) -> None:
    before = torch.get_rng_state()
    list(image_set(folders).train_batches(0))
    assert torch.equal(before, torch.get_rng_state())


def test_shapes_types_and_classes(folders: Path) -> None:
    data = image_set(folders)
    assert (data.classes, data.channels, data.image_size) == (2, 3, 16)
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
    with pytest.raises(UserError, match=r"imagenet.train .*\{train,val\}/<class>/<image>"):
        image_set(tmp_path)


def test_classes_must_agree(folders: Path) -> None:
    (folders / "imagenet" / "val" / "n02").rename(folders / "imagenet" / "val" / "n03")
    with pytest.raises(UserError, match="different class folders"):
        image_set(folders)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_in_one_line(folders: Path, workers: int) -> None:
    broken = folders / "imagenet" / "val" / "n01" / "1.png"
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(UserError, match=r"1\.png cannot be decoded") as error:
        image_set(folders, workers=workers).test_arrays()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("option", "value"), [("holdout", 16), ("workers", -1)])
def test_a_value_out_of_range_is_named(folders: Path, option: str, value: int) -> None:
    with pytest.raises(UserError, match=f"{option}={value}"):
        image_set(folders, **{option: value})
