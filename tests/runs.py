"""Tiny runs for tests: the command line's own configuration, on generated images."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

from omegaconf import DictConfig

from dyadic.commands.run import composed

ROOT = Path(__file__).parents[1]
TINY = [
    "dataset=synthetic",
    "dataset.source.train_images=192",
    "dataset.source.test_images=96",
    "model=resnet8",
    "model.width=8",
    "logger=none",
    "trainer.baseline.epochs=1",
    "trainer.epoch_share=1.0",
    "trainer.hardware.threads=1",
    "trainer.hardware.precision=32-true",
]


COMPILER = any(map(shutil.which, [os.environ.get("CC", "cc").split()[0], "cc", "gcc", "clang"]))
ENGINES = ["reference", *(["compiled"] if COMPILER else []), "onnx"]
"""What a run of this machine must have used: no engine drops out unseen."""


def configuration(results: Path, *choices: str) -> DictConfig:
    """The configuration of `python run.py` with these choices, tiny, writing into `results`."""
    return composed([*TINY, f"results_dir={results}", *choices])


def command(results: Path, *choices: str) -> list[str]:
    """The command line of the same run: flags first; what is chosen is stronger than TINY."""
    flags = [choice for choice in choices if "=" not in choice]
    chosen = [*TINY, f"results_dir={results}", *(x for x in choices if "=" in x)]
    return [sys.executable, str(ROOT / "run.py"), *flags, *chosen]


def call(results: Path, *choices: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in a process of its own."""
    return subprocess.run(
        command(results, *choices), cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
