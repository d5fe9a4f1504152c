from pathlib import Path
from typing import Any

import pytest
import torch

from dyadic.data.synthetic import Synthetic
from dyadic.errors import UserError

HERE = Path()


def test_the_images_are_determined_by_the_data_seed() -> None:
    (a, a_test), (b, b_test), (c, _) = (Synthetic(data_seed=seed)(HERE) for seed in (1, 1, 2))
    assert torch.equal(a.images, b.images)
    assert torch.equal(a.labels, b.labels)
    assert torch.equal(a_test.images, b_test.images)
    assert not torch.equal(a.images, c.images)


def test_the_images_stay_those_that_recorded_runs_trained_on() -> None:
    train, test = Synthetic()(HERE)
    assert (train.images.shape, test.images.shape) == ((1024, 1, 16, 16), (256, 1, 16, 16))
    assert train.labels[:8].tolist() == [6, 0, 3, 6, 6, 3, 0, 1]
    row = [146, 105, 129, 77, 93, 98, 185, 166, 228, 162, 84, 135, 162, 159, 109, 157]
    assert train.images[0, 0, 0].tolist() == pytest.approx(row, abs=1)
    assert train.images.double().mean() == pytest.approx(128.03, abs=0.05)
    assert train.images.double().std() == pytest.approx(53.24, abs=0.05)


def test_what_is_beyond_black_and_white_is_that() -> None:
    images = Synthetic(noise=3.0)(HERE)[0].images
    for end in (0, 255):
        assert 0.25 < (images == end).double().mean() < 0.27


def test_a_class_can_be_told_from_its_mean_image() -> None:
    train, test = Synthetic()(HERE)
    flat, classes = train.images.float().flatten(1), range(10)
    means = torch.stack([flat[train.labels == k].mean(0) for k in classes])
    nearest = torch.cdist(test.images.float().flatten(1), means).argmin(1)
    assert (nearest == test.labels).float().mean() > 0.8


def test_shapes_are_as_asked() -> None:
    train, test = Synthetic(classes=3, channels=2, size=9, train_images=20, test_images=6)(HERE)
    assert train.images.shape == (20, 2, 9, 9)
    assert test.images.shape == (6, 2, 9, 9)
    assert set(train.labels.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("field", ["classes", "channels", "size", "train_images", "test_images"])
def test_one_of_everything_is_enough_and_none_refused(field: str) -> None:
    small: Any = {"classes": 1, "train_images": 3, "test_images": 3, "size": 8} | {field: 1}
    train, test = Synthetic(**small)(HERE)
    assert len(train) + len(test) >= 4
    with pytest.raises(UserError, match=f"{field}=0"):
        Synthetic(**small | {field: 0})


def test_without_noise_a_class_is_one_pattern_rolled_by_up_to_an_eighth() -> None:
    """25 places: up to two pixels of sixteen, each way, rows and columns by themselves."""
    images = Synthetic(classes=1, size=16, train_images=600, noise=0.0)(HERE)[0].images
    known = {str(image.tolist()) for image in images}
    assert len(known) == 25
    first = images[0]
    rolls = [str(first.roll((y, x), (1, 2)).tolist()) for y in range(-4, 5) for x in range(-4, 5)]
    assert known <= set(rolls)


def test_patterns_are_grey_on_average_and_noise_has_the_asked_deviation() -> None:
    plain, noisy = (Synthetic(classes=40, size=16, noise=noise)(HERE)[0] for noise in (0.0, 0.25))
    assert torch.equal(plain.labels, noisy.labels)
    values = plain.images.float()
    assert values.mean() == pytest.approx(127.5, abs=5)
    assert values.std() == pytest.approx(0.7 * 64, rel=0.1)
    difference = (noisy.images.float() - values)[(values > 80) & (values < 175)]
    assert difference.mean() == pytest.approx(0, abs=0.5)
    assert difference.std() == pytest.approx(0.25 * 64, rel=0.03)
