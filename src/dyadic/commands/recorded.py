"""What a record's `config.yaml` names, built: only names that cannot do harm, whoever wrote it.

A `_target_` is a call. From the user's own command line it may name anything; from a file it names
an image set of this library, or what the user's command line allows.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from hydra.utils import get_object

from dyadic.commands.parts import part
from dyadic.errors import UserError
from dyadic.record.config import read_config
from dyadic.record.moved import today
from dyadic.record.schema import CONFIG

DATA = "dyadic.data."  # whose classes and functions read images and write none
OF_THE_USER = {"data_dir", "_args_"}  # else a download could go where the record wants it


def recorded_data(directory: Path, data_dir: Path | None, allow: Collection[str] = ()) -> Any:
    """The image set of a run.

    data_dir  where the images are; None takes the record's, if that is `data`
    allow     names outside this library that the record may call, as `package.module.name`

    Raises UserError for a directory without a run, and for a record that names anything else.
    """
    config = directory / CONFIG
    if not config.exists():
        raise UserError(f"{directory} holds no run; give a directory such as results/runs/NAME")
    choices = read_config(config)
    dataset, seed = choices.get("dataset"), choices.get("seed")
    if not isinstance(dataset, dict) or not isinstance(seed, int):
        raise UserError(f"{config} is damaged (no dataset, or no seed); force=true runs it again")
    _check(dataset, config, allow)
    return part(dataset, data_dir=str(_place(choices.get("data_dir"), data_dir)), seed=seed)


def recorded_images(
    directory: Path, data_dir: Path | None, allow: Collection[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The test images of a run, uint8 [N, C, H, W], and their labels [N]; as `recorded_data`."""
    images, labels = recorded_data(directory, data_dir, allow).test_arrays()
    return np.asarray(images), np.asarray(labels)


def _place(recorded: Any, given: Path | None) -> Path:
    """Where images are read, and downloaded where they are missing: a record alone cannot say."""
    if given is None and recorded not in (None, "data"):
        raise UserError(
            f"the record's images are in {recorded!r}; give --data-dir with that or another folder"
        )
    return given or Path("data")


def _check(value: Any, config: Path, allow: Collection[str]) -> None:
    """Refuse, at any depth, calls of what is not allowed, and folders of the record's choice."""
    if isinstance(value, dict):
        target = value.get("_target_")
        if target is not None and target not in allow and not _harmless(today(str(target))):
            raise UserError(
                f"{config} calls {target!r}, which is no image set of this library; "
                f"if it is yours, say --allow {target}"
            )
        if own := value.keys() & OF_THE_USER:
            raise UserError(f"{config} sets {own.pop()!r} of an image set, which is yours to set")
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _check(one, config, allow)


def _harmless(name: str) -> bool:
    """Whether a name is a public class or function that `dyadic.data` itself defines."""
    if not name.startswith(DATA) or any(word.startswith("_") for word in name.split(".")):
        return False
    try:
        found = get_object(name)
    except Exception:  # whatever the lookup meets, there is no such name
        return False
    home, inside = getattr(found, "__module__", ""), getattr(found, "__qualname__", ".")
    return f"{home}.".startswith(DATA) and "." not in inside
