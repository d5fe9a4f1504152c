"""Train, quantize, evaluate, lower to integers, prove that they match: `python run.py --help`."""

import os

import hydra
from omegaconf import DictConfig

from dyadic.commands import run as sweep

# Threads that wait must not spin for long: a second process on the machine would slow both many
# times over. Some microseconds, between two operations, save a fifth of a training step.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
sweep.register_run_name()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """One run; with `-m`, one job of a sweep."""
    sweep.job(cfg)


if __name__ == "__main__":
    sweep.command(main)
