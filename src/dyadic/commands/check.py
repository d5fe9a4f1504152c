"""`python -m dyadic check RUN`: the integer check again, from the files of a run alone."""

from collections.abc import Collection
from pathlib import Path

from dyadic.commands.recorded import recorded_images
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import CheckReport, compare
from dyadic.integer.program.files import load_proof


def recheck(
    directory: Path, data_dir: Path | None = None, allow: Collection[str] = ()
) -> CheckReport:
    """Load the program from disk and run all engines on the run's whole test set.

    data_dir, allow as in `dyadic.commands.recorded`. Raises UserError for a directory without a
    run, a record that names what it must not, and damaged program files.
    """
    images, labels = recorded_images(directory, data_dir, allow)
    found = engines(load_proof(directory), directory / "program.onnx")
    return compare(found, images, labels)
