import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dyadic.data import InMemory
from dyadic.data.memory import Labelled
from dyadic.data.synthetic import Synthetic
from dyadic.errors import UserError

LABELS = torch.arange(200) % 2


def image_set(source: Synthetic, **options: object) -> InMemory:
    mean_std = ([0.5] * source.channels, [0.25] * source.channels)
    chosen = {"batch_size": 16, "crop_padding": 2, "flip": True} | options
    return InMemory("tiny", source, source.classes, *mean_std, **chosen)


def as_lists(batches: object) -> list:
    return [(images.tolist(), labels.tolist()) for images, labels in batches]


def test_an_epoch_is_a_pure_function_of_seed_and_epoch(tiny: Synthetic) -> None:
    first, second = image_set(tiny, seed=3), image_set(tiny, seed=3)
    list(second.train_batches(0))  # what was asked before does not matter
    torch.rand(7)
    assert as_lists(first.train_batches(4)) == as_lists(second.train_batches(4))
    assert as_lists(first.train_batches(4)) != as_lists(first.train_batches(5))
    assert as_lists(first.train_batches(4)) != as_lists(image_set(tiny, seed=4).train_batches(4))


def test_batches_can_be_iterated_again_and_say_how_many_they_are(tiny: Synthetic) -> None:
    batches = image_set(tiny).train_batches(0)
    assert len(batches) == len(list(batches)) == 50 // 16
    assert as_lists(batches) == as_lists(batches)


def test_the_number_of_threads_changes_nothing(tiny: Synthetic) -> None:
    data = image_set(tiny, image_size=20)
    one = as_lists(data.train_batches(1))
    torch.set_num_threads(2)
    try:
        assert as_lists(data.train_batches(1)) == one
    finally:
        torch.set_num_threads(1)


def test_drawing_batches_leaves_the_global_generator_alone(tiny: Synthetic) -> None:
    before = torch.get_rng_state()
    list(image_set(tiny).train_batches(0))
    assert torch.equal(before, torch.get_rng_state())


def test_without_augmentation_an_epoch_is_the_training_set_shuffled(tiny: Synthetic) -> None:
    data = image_set(tiny, crop_padding=0, flip=False, batch_size=10)
    images, labels = map(torch.cat, zip(*data.train_batches(0), strict=True))
    found = sorted(zip(images.tolist(), labels.tolist(), strict=True))
    known = zip(data.train.images.tolist(), data.train.labels.tolist(), strict=True)
    assert found == sorted(known)
    assert not torch.equal(images, data.train.images)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_two_epochs_show_every_image_both_ways(tiny: Synthetic, first: int) -> None:
    data = image_set(tiny, crop_padding=0, batch_size=10)
    seen = {
        str(i) for e in (first, first + 1) for x, _ in data.train_batches(e) for i in x.tolist()
    }
    images = data.train.images
    assert seen == {str(i) for way in (images, images.flip(3)) for i in way.tolist()}


def test_half_of_the_images_are_mirrored_in_each_epoch() -> None:
    part = Labelled(torch.tensor([[[[0, 9]]]], dtype=torch.uint8).repeat(200, 1, 1, 1), LABELS)
    data = InMemory("pairs", lambda _: (part, part), 2, [0.5], [0.25], batch_size=200, flip=True)
    shown = [next(iter(data.train_batches(epoch)))[0][:, 0, 0, 0] for epoch in range(4)]
    assert [0.35 < (first == 9).float().mean() < 0.65 for first in shown] == [True] * 4


def test_images_are_shifted_by_up_to_the_padding_each_way() -> None:
    dot = torch.zeros(200, 1, 7, 9, dtype=torch.uint8)
    dot[:, :, 3, 4] = 255
    part = Labelled(dot, LABELS)
    data = InMemory("dots", lambda _: (part, part), 2, [0.5], [0.25], crop_padding=1)
    images = torch.cat([x for epoch in range(2) for x, _ in data.train_batches(epoch)])
    places = {tuple(place) for place in images.nonzero()[:, 2:].tolist()}
    assert places == {(row, column) for row in (2, 3, 4) for column in (3, 4, 5)}


def test_what_is_left_out_is_the_plainest(tiny: Synthetic) -> None:
    data = InMemory("tiny", tiny, 4, [0.5] * 3, [0.25] * 3)
    assert (data.batch_size, data.seed, data.crop_padding, data.flip) == (128, 0, 0, False)
    assert (data.image_size, len(data.train), len(data.held_out)) == ((12, 12), 50, 0)
    assert re.fullmatch("[0-9a-f]{16}", data.fingerprint())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 1),
        ("image_size", 1),
        ("holdout", 49),
        ("train_share", 1),
        ("crop_padding", 0),
    ],
)
def test_the_ends_of_a_range_are_accepted(tiny: Synthetic, option: str, value: int) -> None:
    data = image_set(tiny, **{option: value})
    assert len(data.train) + len(data.held_out) == 50
    assert all(len(labels) for _, labels in data.train_batches(0))


def test_images_are_uint8_and_labels_int64_in_the_asked_size(tiny: Synthetic) -> None:
    data = image_set(tiny, image_size=20)
    passes = [data.train_batches(0), data.test_batches(), data.calibration_batches(5)]
    for batches in passes:
        images, labels = next(iter(batches))
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        assert images.shape[1:] == (3, 20, 20)
    assert data.image_shape == (3, 20, 20)


def test_images_may_be_wider_than_high(tiny: Synthetic) -> None:
    data = image_set(tiny, image_size=[10, 14])
    assert data.image_shape == (3, 10, 14)
    assert next(iter(data.train_batches(0)))[0].shape[1:] == data.image_shape


def test_a_share_of_the_training_images_is_the_same_for_every_seed(tiny: Synthetic) -> None:
    few, other = (image_set(tiny, train_share=0.2, seed=seed) for seed in (0, 1))
    assert torch.equal(few.train.images, other.train.images)
    assert len(few.train) == 10
    known = {str(image) for image in image_set(tiny).train.images.tolist()}
    assert len({str(image) for image in few.train.images.tolist()} & known) == 10
    assert len(image_set(tiny, holdout=40, train_share=0.01).train) == 1
    assert few.fingerprint() != image_set(tiny).fingerprint()


def test_the_test_set_keeps_its_order_and_is_complete(tiny: Synthetic) -> None:
    data = image_set(tiny)
    images, labels = data.test_arrays()
    assert torch.equal(images, data.test.images)
    assert torch.equal(labels, data.test.labels)
    assert [len(batch) for _, batch in data.test_batches()] == [16, 4]


def test_calibration_takes_the_first_images_of_one_order(tiny: Synthetic) -> None:
    data = image_set(tiny)
    few, more = (torch.cat([x for x, _ in data.calibration_batches(n)]) for n in (5, 40))
    assert torch.equal(few, more[:5])
    known = {str(image) for image in data.train.images.tolist()}
    assert len({str(image) for image in more.tolist()} & known) == 40
    assert len(torch.cat([x for _, x in data.calibration_batches(1000)])) == 50


def test_held_out_images_are_the_end_of_the_training_set_and_not_trained_on(
    tiny: Synthetic,
) -> None:
    data = image_set(tiny, holdout=12, crop_padding=0, flip=False, batch_size=19)
    held_out = torch.cat([x for x, _ in data.validation_batches()])
    everything = image_set(tiny).train.images
    assert torch.equal(held_out, everything[38:])
    trained = {str(i) for x, _ in data.train_batches(0) for i in x.tolist()}
    assert trained == {str(i) for i in everything[:38].tolist()}


def test_a_training_is_watched_on_held_out_images_and_never_on_the_test_set(
    tiny: Synthetic,
) -> None:
    held, all_of_it = image_set(tiny, holdout=12), image_set(tiny)
    watched = torch.cat([x for x, _ in held.watched_batches()])
    assert torch.equal(watched, held.held_out.images)
    known = {str(image) for image in all_of_it.train.images.tolist()}
    assert {str(i) for x, _ in all_of_it.watched_batches() for i in x.tolist()} <= known


def test_2000_training_images_stand_for_held_out_ones() -> None:
    source = Synthetic(classes=2, size=4, train_images=2001, test_images=1)
    data = InMemory("many", source, 2, [0.5], [0.25], batch_size=1000)
    assert [len(labels) for _, labels in data.watched_batches()] == [1000, 1000]


def test_without_held_out_images_validation_says_what_to_set(tiny: Synthetic) -> None:
    with pytest.raises(UserError, match="holdout above 0 keeps some"):
        image_set(tiny).validation_batches()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("batch_size", 0),
        ("seed", -1),
        ("holdout", 50),
        ("holdout", -1),
        ("image_size", 0),
        ("crop_padding", -1),
        ("train_share", 0),
        ("train_share", 1.5),
        ("image_size", [8]),
    ],
)
def test_a_value_out_of_range_is_named(tiny: Synthetic, option: str, value: int) -> None:
    with pytest.raises(UserError, match=re.escape(f"{option}={value}")):
        image_set(tiny, **{option: value})


@pytest.mark.parametrize(("mean", "std"), [([0.5], [0.25]), ([0.5] * 3, [0.25, 0.25, 0.0])])
def test_statistics_must_fit_the_channels(
    tiny: Synthetic, mean: list[float], std: list[float]
) -> None:
    with pytest.raises(UserError, match="3 channels"):
        InMemory("tiny", tiny, 4, mean, std)


def test_classes_have_names_and_labels_stand_in_where_they_have_none(tiny: Synthetic) -> None:
    assert image_set(tiny).class_names == ("0", "1", "2", "3")
    train, test = tiny(Path())
    named = replace(test, names=("a", "b", "c", "d"))
    mean, std = [0.5] * 3, [0.25] * 3
    found = InMemory("tiny", lambda _: (train, named), 4, mean, std)
    assert found.class_names == ("a", "b", "c", "d")
    with pytest.raises(UserError, match="classes=5; the set has 4"):
        InMemory("tiny", lambda _: (train, named), 5, mean, std)


def order(seed: int, epoch: int) -> list[int]:
    """Which images the batches of an epoch show, one after another, without augmentation."""
    numbers = torch.arange(64)
    part = Labelled(numbers.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4), numbers % 4)
    data = InMemory(
        "numbers", lambda folder: (part, part), 4, [0.5], [0.25], batch_size=16, seed=seed
    )
    return [int(x) for images, _ in data.train_batches(epoch) for x in images[:, 0, 0, 0]]


def test_the_order_is_of_the_seed_and_of_the_epoch() -> None:
    assert sorted(order(0, 0)) == list(range(64))
    assert order(0, 0) == order(0, 0)
    orders = {tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
