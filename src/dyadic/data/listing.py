"""Which pictures a folder holds, of which class, and which of them are for testing."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from dyadic.data.order import generator
from dyadic.data.pictures import SUFFIXES
from dyadic.errors import UserError

LAYOUT = "the layout is {train,val}/<class>/<picture>, or <class>/<picture>"
Samples = list[tuple[str, int]]  # path, label


@dataclass(frozen=True)
class Listing:
    """Pictures for training and for testing, sorted by class and name; the classes' names."""

    train: Samples
    test: Samples
    classes: tuple[str, ...]


def listed(folder: Path, val_share: float) -> Listing:
    """The pictures of `folder/{train,val}`; without `val`, a share of each class is for testing.

    Which pictures these are is drawn once: it depends on the number of pictures alone. Raises
    UserError where a folder is missing, a class is in one part only or has no pictures.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; {LAYOUT}")
    train, val = folder / "train", folder / "val"
    if not _folders(train):
        return _split(folder, val_share)
    if not val.is_dir():
        return _split(train, val_share)
    classes, of_val = _folders(train), _folders(val)
    if wrong := sorted(set(classes) ^ set(of_val)):
        there = "train" if wrong[0] in classes else "val"
        raise UserError(f"{folder}: the class {wrong[0]} is in {there} alone; both need each class")
    pictures, tests = (
        [sample for label, name in enumerate(classes) for sample in _samples(part, label, name)]
        for part in (train, val)
    )
    return Listing(pictures, tests, tuple(classes))


def _split(folder: Path, val_share: float) -> Listing:
    """Of each class, this share for testing and the rest for training, at least one of each."""
    if not 0 < val_share < 1:
        raise UserError(f"val_share={val_share}; a share of each class, above 0 and below 1")
    classes = _folders(folder)
    if len(classes) < 2:
        raise UserError(f"{folder} holds {len(classes)} folders of pictures; {LAYOUT}")
    train, test = [], []
    for label, name in enumerate(classes):
        found = _samples(folder, label, name)
        if len(found) < 2:
            raise UserError(f"{folder / name} holds 1 picture; a class is split into 2 or more")
        count = min(max(round(val_share * len(found)), 1), len(found) - 1)
        order = torch.randperm(len(found), generator=generator("val", label)).tolist()
        chosen = set(order[:count])
        test += [found[i] for i in sorted(chosen)]
        train += [found[i] for i in range(len(found)) if i not in chosen]
    return Listing(train, test, tuple(classes))


def _samples(folder: Path, label: int, name: str) -> Samples:
    """The pictures of one class, hidden files and folders left out."""
    found: Samples = []
    for place, folders, names in os.walk(folder / name, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        chosen = [n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
        found += [(os.path.join(place, name), label) for name in sorted(chosen)]
    if not found:
        kinds = " ".join(SUFFIXES)
        raise UserError(
            f"{folder / name} holds no pictures ({kinds}); remove the folder, or give it some"
        )
    return found


def _folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones; none where it is missing."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
