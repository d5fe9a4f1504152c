from pathlib import Path

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


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(UserError, match="train_images=0"):
        Synthetic(train_images=0)
