"""Pictures of any depth arrive as the same eight bits, or are refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dyadic.data.pictures import channels_of, read_picture
from dyadic.errors import UserError

GREY = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], 2)


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("a.png", GREY),
        ("a.png", GREY.astype(np.uint16) * 257),
        ("a.tif", GREY.astype(np.uint16) * 257),
        ("a.tif", GREY.astype(np.float32) / 255),
        ("a.tif", GREY.astype(np.int32) * 257),
        ("a.npy", GREY),
        ("a.npy", GREY.astype(np.float64) / 255),
        ("a.npy", GREY.astype(np.uint16)[..., None] * 257),
    ],
)
def test_every_depth_gives_the_same_picture(tmp_path: Path, name: str, values: np.ndarray) -> None:
    path = saved(tmp_path / name, values)
    assert channels_of(path) == 1
    assert torch.equal(read_picture(path, 1), torch.from_numpy(GREY)[None])


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (np.array([0, 128, 129, 300, 65535], np.uint16), [0, 0, 1, 1, 255]),
        (np.array([0, 0.00196, 0.00197, 0.4, 1]), [0, 0, 1, 102, 255]),
        (np.array([0, 1, 65535], np.int64), [0, 0, 255]),
        (np.array([False, True]), [0, 255]),
    ],
)
def test_values_are_scaled_to_the_nearest_of_eight_bits(
    tmp_path: Path, values: np.ndarray, wanted: list[int]
) -> None:
    found = read_picture(saved(tmp_path / "a.npy", values[None]), 1)
    assert found.tolist() == [[wanted]]


def test_black_and_white_is_black_and_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREY > 100).save(path)
    assert torch.equal(read_picture(path, 1)[0], torch.from_numpy((GREY > 100) * np.uint8(255)))


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("a.tif", GREY.astype(np.float32), "float32 from 0 to 230; they must be 8 or 16 bits"),
        ("a.tif", -GREY.astype(np.float32) / 255, "floats from 0 to 1"),
        ("a.tif", GREY.astype(np.int32) * 70000, "int32 from 0 to"),
        ("a.npy", np.full((2, 2), np.nan), "from nan to nan"),
        ("a.npy", np.full((2, 2), 1.001), "floats from 0 to 1"),
        ("a.npy", np.full((2, 2), 65536), "int64 from 65536 to 65536"),
        ("a.npy", np.full((2, 2), -1), "int64 from -1 to -1"),
        ("a.npy", np.zeros((2, 2), complex), "complex128; they must be"),
        ("a.npy", np.full((2, 2), "a"), "<U1; they must be"),
        ("a.npy", np.zeros(2), r"its shape is \[2\]"),
        ("a.npy", np.zeros((2, 2, 5)), r"its shape is \[2, 2, 5\]; it must be \[H, W, 1\]"),
    ],
)
def test_a_scale_that_is_not_known_is_refused(
    tmp_path: Path, name: str, values: np.ndarray, says: str
) -> None:
    with pytest.raises(UserError, match=f"{name}: .*{says}"):
        read_picture(saved(tmp_path / name, values), 1)


def test_colours_and_grey_become_each_other(tmp_path: Path) -> None:
    colour, grey = saved(tmp_path / "c.png", COLOUR), saved(tmp_path / "g.png", GREY)
    assert (channels_of(colour), channels_of(grey)) == (3, 1)
    assert torch.equal(read_picture(colour, 3), torch.from_numpy(COLOUR).permute(2, 0, 1))
    assert torch.equal(read_picture(grey, 3), torch.from_numpy(GREY).expand(3, 4, 6))
    assert read_picture(colour, 1).shape == (1, 4, 6)
    assert read_picture(colour, 4)[3].unique().tolist() == [255]


def test_arrays_have_any_number_of_channels(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (4, 6, 7), dtype=np.uint8)
    path = saved(tmp_path / "a.npy", values)
    assert channels_of(path) == 7
    assert torch.equal(read_picture(path, 7), torch.from_numpy(values).permute(2, 0, 1))
    with pytest.raises(UserError, match="channels=7; pictures have 1, 3 or 4"):
        read_picture(saved(tmp_path / "g.png", GREY), 7)


def test_a_picture_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the top is on the right
    turned = saved(tmp_path / "a.png", GREY, exif=exif)
    assert torch.equal(read_picture(turned, 1)[0], torch.from_numpy(np.rot90(GREY, -1).copy()))


def test_what_cannot_be_decoded_is_named_and_never_unpickled(tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(saved(tmp_path / "a.png", COLOUR).read_bytes()[:60])
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    pickled = tmp_path / "pickled.npy"
    pickled.write_bytes(pickle.dumps(np.zeros((4, 6, 3), np.uint8)))
    archive, endless = tmp_path / "archive.npy", tmp_path / "endless.npy"
    with archive.open("wb") as file:
        np.savez(file, np.zeros((4, 6, 3), np.uint8))
    with endless.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 2**10, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    for path in (torn, objects, pickled, archive, endless, tmp_path / "absent.png"):
        for read in (lambda path: read_picture(path, 3), channels_of):
            if path == torn and read is channels_of:
                continue  # its header is whole
            with pytest.raises(UserError, match=f"{path.name} cannot be decoded") as error:
                read(path)
            assert "\n" not in str(error.value)
