"""HAWQ-V3's claim on this processor: how many times as fast as W8A8 the compiled engine's W4A4 is.

ResNet-18 and ResNet-50 at 224 pixels, batch 8 as in the paper's Table 2; networks with random
weights, one a seed, both widths in turns. `--write` puts the verdict among the claims
(`experiments/hawq_v3/speed.py`); it should have the machine for itself.
`PYTHONPATH=. python benchmarks/hawq_v3.py [--seeds 5] [--rounds 15] [--threads 2] [--write]`
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import numpy as np
from engines import Run, processor
from experiments.hawq_v3.speed import NAMES, Setting, Speedup, page, write
from networks import integer_program
from side_by_side import measure

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.program.files import load_proof, save

BATCH = 8
WIDTHS = (4, 8)


def write_programs(directory: Path, seeds: int) -> None:
    """Those that are not there yet, so that measuring makes none."""
    for network in NAMES:
        for bits in WIDTHS:
            for seed in range(seeds):
                place = directory / f"{network}-{bits}-{seed}"
                if not place.exists():
                    save(integer_program(network, bits, seed=seed), place)


def engine(place: Path, threads: int) -> Run:
    """The program on random images."""
    made = CompiledEngine(load_proof(place), threads)
    shape = (BATCH, *made.program.input_shape)
    images = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    return lambda: made.run(images)


def ratio(directory: Path, network: str, seed: int, rounds: int, threads: int) -> float:
    """Median over the rounds of the time at 8 bits in multiples of that at 4."""
    runs = {str(b): engine(directory / f"{network}-{b}-{seed}", threads) for b in WIDTHS}
    seconds = measure(runs, rounds)
    return statistics.median(
        wide / narrow for narrow, wide in zip(seconds["4"], seconds["8"], strict=True)
    )


def main() -> None:
    """Measure, print the page, and write it if that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--directory", type=Path, help="of the programs, which are kept there")
    parser.add_argument("--write", action="store_true", help="among the claims")
    choice = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = choice.directory or Path(folder)
        write_programs(directory, choice.seeds)
        found = [
            Speedup(
                network,
                [
                    ratio(directory, network, seed, choice.rounds, choice.threads)
                    for seed in range(choice.seeds)
                ],
            )
            for network in NAMES
        ]
    named = processor().partition(":")[0]
    used = f"{named}, {available_paths()[0]}, {choice.threads} threads"
    setting = Setting(BATCH, choice.rounds, used)
    print(page(found, setting))
    if choice.write:
        write(Path(__file__).parents[1], found, setting)


if __name__ == "__main__":
    main()
