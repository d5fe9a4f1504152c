"""`python -m dyadic check RUN`: the integer check again, from the files of a run alone."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from dyadic.commands.recorded import recorded_data
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import CheckReport, check
from dyadic.integer.program.files import load


def recheck(
    directory: Path, data_dir: Path | None = None, allow: Collection[str] = ()
) -> CheckReport:
    """Load the program from disk and run all engines on the run's whole test set.

    data_dir, allow as in `dyadic.commands.recorded`. Raises UserError for a directory without a
    run, a record that names what it must not, and damaged program files.
    """
    images, labels = test_set(directory, data_dir, allow)
    program = load(directory)
    found = engines(program, directory / "program.onnx")
    return check(found, images, labels)


def test_set(
    directory: Path, data_dir: Path | None = None, allow: Collection[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """The test images of a run, uint8 [N, C, H, W], and their labels [N]."""
    images, labels = recorded_data(directory, data_dir, allow).test_arrays()
    return np.asarray(images), np.asarray(labels)
