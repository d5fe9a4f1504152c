import pytest
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


def noise(*shape: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(0)
    return torch.randint(256, shape, generator=source, dtype=torch.uint8)


def test_resizing_is_a_mean_over_what_a_pixel_covers() -> None:
    images = torch.tensor([[0, 255, 0, 0], [255, 255, 3, 0]], dtype=torch.uint8).view(1, 1, 2, 4)
    # antialiased: a triangle four pixels wide, cut at the border
    assert resized(images, (2, 2)).flatten().tolist() == [109, 36, 219, 38]


def test_the_middle_leaves_the_smaller_half_above_and_to_the_left() -> None:
    images = torch.arange(56, dtype=torch.uint8).view(1, 1, 7, 8)
    assert torch.equal(centred(images, (4, 5)), images[..., 1:5, 1:6])
    assert torch.equal(centred(images, (7, 2)), images[..., 3:5])


@pytest.mark.parametrize(
    ("shape", "size", "times", "wanted"),
    [
        ((4, 12), (4, 4), 1.0, (4, 12)),
        ((4, 12), (4, 4), 1.5, (6, 18)),
        ((12, 4), (4, 2), 1.0, (6, 2)),
        ((10, 10), (5, 8), 1.25, (10, 10)),
        ((30, 20), (7, 7), 256 / 224, (12, 8)),
    ],
)
def test_what_covers_is_the_middle_with_sides_in_proportion(
    shape: tuple[int, int], size: tuple[int, int], times: float, wanted: tuple[int, int]
) -> None:
    images = noise(1, 2, *shape)
    assert torch.equal(covering(images, size, times), centred(resized(images, wanted), size))


def test_light_scales_pixels_and_their_distance_to_the_mean() -> None:
    images = torch.tensor([[10, 30], [100, 200]], dtype=torch.uint8).view(2, 2, 1, 1)
    one = torch.ones(2)
    assert torch.equal(lit(images, one, one), images)
    assert lit(images, torch.tensor([2.0, 1.3]), one).flatten().tolist() == [20, 60, 130, 255]
    assert lit(images, one, torch.tensor([2.0, 4.0])).flatten().tolist() == [0, 40, 0, 255]
    # 20 and 60 about 40, halved; 150 and 300 about 225, a fifth
    found = lit(images, torch.tensor([2.0, 1.5]), torch.tensor([0.5, 0.2]))
    assert found.flatten().tolist() == [30, 50, 210, 240]
