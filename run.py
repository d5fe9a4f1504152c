"""Train, quantize, evaluate, lower to integers, prove that they match: `python run.py --help`."""

import hydra
from omegaconf import DictConfig

from dyadic import sweep

sweep.register_run_name()


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """One run; with `-m`, one job of a sweep."""
    sweep.job(cfg)


if __name__ == "__main__":
    sweep.command(main)
