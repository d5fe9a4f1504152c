"""Tensors on disk: written whole or not at all, and compared with their checksums when read."""

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import CheckpointIO

from dyadic.errors import first_line
from dyadic.record.files import Damaged, write_atomically

log = logging.getLogger(__name__)


def save_tensors(value: Any, path: Path) -> None:
    """`torch.save`, atomically: beside `path` on its own file system, then renamed."""
    file = io.BytesIO()  # given a path, torch does not say that the disk is full
    torch.save(value, file)
    with write_atomically(path) as temporary:
        temporary.write_bytes(file.getbuffer())


def load_tensors(path: Path, map_location: Any = "cpu") -> Any:
    """What `save_tensors` wrote; nothing is unpickled but tensors and plain values.

    The file is a zip archive whose every member has a CRC-32, which torch writes and never reads.
    Raises Damaged, FileNotFoundError.
    """
    content = path.read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            wrong = archive.testzip()
        if wrong is None:
            return torch.load(io.BytesIO(content), map_location, weights_only=True)
    except Exception as error:  # zip, pickle and storage errors all mean the same to the user
        wrong = first_line(error)
    raise Damaged(path, f"checksum or format: {wrong}")


def resumable(checkpoint: Path) -> Path | None:
    """The checkpoint to go on from; None where there is none, or, with a line, none that is whole.

    A damaged one is put aside as `damaged.ckpt`.
    """
    try:
        load_tensors(checkpoint)
    except FileNotFoundError:
        return None
    except Damaged as error:
        aside = checkpoint.replace(checkpoint.with_name("damaged.ckpt"))
        log.warning("%s; training starts anew, and the file is now %s", error, aside)
        return None
    return checkpoint


class Checkpoints(CheckpointIO):
    """Lightning's checkpoints: its own go through $TMPDIR and are copied over the one before."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        save_tensors(checkpoint, Path(path))

    def load_checkpoint(
        self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> Any:
        return load_tensors(Path(path), map_location or "cpu")

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)
