"""A checkpoint is whole or the one before; a flipped bit is seen; a full disk is got over."""

import random

import pytest
import torch

from dyadic.record.files import Damaged
from dyadic.training.checkpoint import Checkpoints, load_tensors, resumable, save_tensors

STATE = {"weights": torch.arange(300.0), "epoch": 3, "text": ["a", "b"]}


def same(state) -> bool:
    return torch.equal(state["weights"], STATE["weights"]) and (
        {k: v for k, v in state.items() if k != "weights"} == {"epoch": 3, "text": ["a", "b"]}
    )


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    path = tmp_path / "last.ckpt"
    save_tensors(STATE, path)
    whole, refused = path.read_bytes(), 0
    for position in random.Random(0).sample(range(8 * len(whole)), 400):
        content = bytearray(whole)
        content[position // 8] ^= 1 << position % 8
        path.write_bytes(content)
        try:
            assert same(load_tensors(path)), position
        except Damaged:
            refused += 1
    assert refused > 200  # the others are of padding


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_truncated_checkpoint_is_put_aside_with_a_line(tmp_path, caplog, length):
    path = tmp_path / "last.ckpt"
    save_tensors(STATE, path)
    path.write_bytes(path.read_bytes()[:length])
    assert resumable(path) is None
    assert "training starts anew" in caplog.text
    assert not path.exists()
    assert (tmp_path / "damaged.ckpt").exists()


def test_nothing_is_unpickled_but_tensors(tmp_path):
    torch.save({"call": print}, tmp_path / "last.ckpt")
    assert resumable(tmp_path / "last.ckpt") is None


def test_one_that_somebody_else_removed_is_no_error(tmp_path):
    Checkpoints().save_checkpoint(STATE, tmp_path / "last.ckpt")
    for _ in range(2):
        Checkpoints().remove_checkpoint(tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_the_one_before_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    Checkpoints().save_checkpoint(STATE, path)

    def full(self, content):
        with self.open("wb") as file:  # what there was room for
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        Checkpoints().save_checkpoint({"epoch": 4}, path)
    assert same(Checkpoints().load_checkpoint(path))
    assert [found.name for found in tmp_path.iterdir()] == ["last.ckpt"]


def test_nothing_goes_through_the_folder_for_temporary_files(tmp_path, monkeypatch):
    """Which may be on another file system: a copy from there is not atomic."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    Checkpoints().save_checkpoint(STATE, tmp_path / "last.ckpt")
    assert same(Checkpoints().load_checkpoint(tmp_path / "last.ckpt"))


def test_a_checkpoint_is_loaded_where_it_is_wanted_and_removed_where_it_is(tmp_path):
    path, files = tmp_path / "last.ckpt", Checkpoints()
    files.save_checkpoint(STATE, path)
    assert files.load_checkpoint(path, "meta")["weights"].is_meta
    assert files.load_checkpoint(path, None)["weights"].device.type == "cpu"
    for _ in range(2):
        files.remove_checkpoint(path)
        assert not path.exists()
