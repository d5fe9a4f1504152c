"""`python -m dyadic check RUN`: the integer check again, from the files of a run alone."""

from pathlib import Path

import numpy as np
from hydra.utils import instantiate
from omegaconf import OmegaConf

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import CheckReport, check
from dyadic.integer.program.files import load


def recheck(directory: Path) -> CheckReport:
    """Load the program from disk and run all engines on the run's whole test set.

    Raises UserError for a directory without a run, and for damaged program files.
    """
    images, labels = test_set(directory)
    program = load(directory)
    found = engines(program, directory / "program.onnx")
    return check(found, images, labels)


def test_set(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """The test images of a run, uint8 [N, C, H, W], and their labels [N].

    Raises UserError for a directory without a run.
    """
    config = directory / "config.yaml"
    if not config.exists():
        raise UserError(f"{directory} holds no run; give a directory such as results/runs/NAME")
    cfg = OmegaConf.load(config)
    data = instantiate(cfg.dataset, data_dir=cfg.data_dir, seed=cfg.seed)
    images, labels = data.test_arrays()
    return np.asarray(images), np.asarray(labels)
