"""What training sees of a picture: how it is cut, turned, mirrored and lit, and how far."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from dyadic.data import ImageFolders, folders

PLAIN = {"crop_area": None, "flip": False, "image_size": [60, 180], "workers": 0}
PICTURE = torch.arange(200, dtype=torch.uint8)[None, :, None].expand(3, 200, 240).clone()
PICTURE[1] = torch.arange(240, dtype=torch.uint8)


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., ImageFolders]:
    """A set of two pictures; what is tested is one of the tests' own."""
    for name in "ab":
        for part in ("train", "val"):
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / part / name / "0.png")

    def make(**options: object) -> ImageFolders:
        chosen: Any = PLAIN | options
        return ImageFolders("pictures", tmp_path, [0.5] * 3, [0.25] * 3, **chosen)

    return make


def watched(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple]:
    """The arguments of every call of a function of `folders`."""
    calls, function = [], getattr(folders, name)
    monkeypatch.setattr(folders, name, lambda *given: calls.append(given) or function(*given))
    return calls


def test_what_is_cut_out_has_the_images_sides_within_a_third_and_its_share_of_the_area(
    made: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, calls = made(crop_area=(0.1, 0.2)), watched(monkeypatch, "resized")
    assert {data._augmented(PICTURE).shape for _ in range(200)} == {(3, 60, 180)}
    parts: list[Tensor] = [images[0] for images, _ in calls]
    for part in parts:
        height, width = part.shape[1:]
        assert torch.equal(part[0, :, 0].diff(), torch.ones(height - 1))
        assert torch.equal(part[1, 0].diff(), torch.ones(width - 1))
        assert 0.75 * 3 * 0.96 <= width / height <= 4 / 3 * 3 * 1.04  # whole pixels
        assert 0.1 * 0.97 <= height * width / (200 * 240) <= 0.2 * 1.03
    sides = [part.shape[2] / part.shape[1] for part in parts]
    assert min(sides) < 2.5
    assert max(sides) > 3.7


def test_half_of_the_pictures_are_mirrored(made: Callable) -> None:
    data = made(flip=True, image_size=[200, 240], crop=False)
    found = [data._augmented(PICTURE) for _ in range(100)]
    mirrored = [torch.equal(picture, PICTURE.flip(2)) for picture in found]
    assert 30 < sum(mirrored) < 70
    assert sum(torch.equal(picture, PICTURE) for picture in found) == 100 - sum(mirrored)
    unchanged = made(image_size=[200, 240], crop=False)
    assert all(torch.equal(unchanged._augmented(PICTURE), PICTURE) for _ in range(20))


def test_pictures_are_turned_either_way_by_up_to_so_many_degrees(
    made: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, calls = made(rotation=40.0), watched(monkeypatch, "rotate")
    for _ in range(100):
        data._augmented(PICTURE)
    angles = [angle for _, angle, _ in calls]
    assert -40 <= min(angles) < -30
    assert 30 < max(angles) <= 40


def test_brightness_and_contrast_vary_by_themselves(
    made: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, calls = made(light=0.4), watched(monkeypatch, "lit")
    for _ in range(100):
        data._augmented(PICTURE)
    factors = torch.stack([torch.cat(given[1:]) for given in calls])
    assert factors.shape == (100, 2)
    assert (factors >= 0.6).all()
    assert (factors <= 1.4).all()
    assert (factors.amin(0) < 0.7).all()
    assert (factors.amax(0) > 1.3).all()
    assert abs(torch.corrcoef(factors.T)[0, 1]) < 0.4


def test_what_is_left_out_is_imagenets_recipe(made: Callable, tmp_path: Path) -> None:
    data = ImageFolders("pictures", tmp_path, [0.5] * 3, [0.25] * 3)
    assert (data.image_size, data.crop, data.resize) == ((224, 224), True, 256 / 224)
    assert (data.crop_area, data.flip, data.rotation, data.light) == ((0.08, 1.0), True, 0, 0)
    assert (data.batch_size, data.seed, data.workers) == (256, 0, 4)
    assert (len(data.train), len(data.held_out)) == (2, 0)
