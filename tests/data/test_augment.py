import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from dyadic.data.augment import centred, covering, lit, mirrored, resized, shifted

SMALL = st.integers(1, 3)


@given(SMALL, SMALL, st.integers(0, 4), st.integers(3, 9), st.integers(0, 99))
def test_a_shift_is_a_crop_of_the_padded_image(
    count: int, channels: int, padding: int, size: int, seed: int
) -> None:
    source = torch.Generator().manual_seed(seed)
    shape = (count, channels, size, size + 1)
    images = torch.randint(256, shape, generator=source, dtype=torch.uint8)
    offsets = torch.randint(2 * padding + 1, (count, 2), generator=source)
    found = shifted(images, offsets, padding)
    padded = F.pad(images, (padding,) * 4)
    for one, whole, (row, column) in zip(found, padded, offsets.tolist(), strict=True):
        assert torch.equal(one, whole[:, row : row + size, column : column + size + 1])
    centre = torch.full((count, 2), padding)
    assert torch.equal(shifted(images, centre, padding), images)


def test_a_mirror_turns_left_and_right_of_the_chosen_images() -> None:
    images = torch.arange(12, dtype=torch.uint8).view(2, 1, 2, 3)
    found = mirrored(images, torch.tensor([False, True]))
    assert torch.equal(found[0], images[0])
    assert found[1].tolist() == [[[8, 7, 6], [11, 10, 9]]]
    assert torch.equal(mirrored(found, torch.tensor([False, True])), images)


@given(st.integers(1, 20), st.integers(0, 255))
def test_resizing_keeps_a_plain_colour_and_the_type(size: int, colour: int) -> None:
    found = resized(torch.full((2, 3, 8, 8), colour, dtype=torch.uint8), (size, size))
    assert found.dtype == torch.uint8
    assert found.shape == (2, 3, size, size)
    assert (found == colour).all()


def test_resizing_to_the_own_size_changes_nothing() -> None:
    images = torch.randint(256, (2, 1, 8, 8), dtype=torch.uint8)
    assert resized(images, (8, 8)) is images


@given(st.integers(4, 30), st.integers(4, 30), st.integers(1, 20), st.integers(1, 20))
def test_a_covering_image_has_the_asked_size(height: int, width: int, h: int, w: int) -> None:
    images = torch.full((1, 2, height, width), 77, dtype=torch.uint8)
    found = covering(images, (h, w), 1.2)
    assert found.shape == (1, 2, h, w)
    assert (found == 77).all()


def test_what_covers_is_the_middle_with_sides_in_proportion() -> None:
    columns = torch.arange(12, dtype=torch.uint8).expand(1, 1, 4, 12)
    assert torch.equal(covering(columns, (4, 4), 1.0), columns[..., 4:8])
    assert torch.equal(covering(columns, (4, 4), 1.0), centred(columns, (4, 4)))


def test_light_scales_pixels_and_their_distance_to_the_mean() -> None:
    images = torch.tensor([10, 30], dtype=torch.uint8).view(1, 1, 1, 2)
    one, two = torch.ones(1), torch.full((1,), 2.0)
    assert torch.equal(lit(images, one, one), images)
    assert lit(images, two, one).flatten().tolist() == [20, 60]
    assert lit(images, one, two).flatten().tolist() == [0, 40]
