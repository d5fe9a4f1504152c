"""The main job, `python run.py method=inq bits=5`, against plain float epochs of its network.

Both in one run, on the machine as it is: an epoch of ResNet-20 on the 60 000 training images of
Fashion-MNIST without any quantization, then the whole job in a process of its own, from its first
import to its table. `python benchmarks/main_job.py [--threads 2] [CHOICES]`
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydra import compose, initialize_config_dir

from dyadic.commands.build import build
from dyadic.commands.run import register_run_name
from dyadic.schedules.schedule import Phase
from dyadic.training.fit import fit
from dyadic.training.hardware import Hardware, keep_memory
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Training

ROOT = Path(__file__).parents[1]
EPOCHS = 3.5  # that the main job may take


def float_epoch(choices: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and processor seconds of one epoch, augmentation included."""
    register_run_name()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", ["start=train", f"results_dir={folder}", *choices])
    run = build(cfg, folder)
    hardware = Hardware(accelerator="cpu", threads=run.hardware.resolved_threads)
    hardware.launch()
    keep_memory()
    recipe, phases = run.recipe, [Phase("float", 1)]
    optimizer, curve = recipe.optimizer, recipe.curve
    module = Training(run.model(), run.data, phases, optimizer, curve, cross_entropy)
    started, used = time.monotonic(), time.process_time()
    fit(module, folder / "float", hardware, "one float epoch")
    return time.monotonic() - started, time.process_time() - used


def main_job(choices: list[str], folder: Path) -> tuple[float, float]:
    """Seconds and processor seconds of the job."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    command = [sys.executable, "run.py", "method=inq", "bits=5", f"results_dir={folder}", *choices]
    subprocess.run(command, cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, used


def main() -> None:
    """Print both, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, help="default: the physical cores")
    parser.add_argument("choices", nargs="*", help="as run.py takes them")
    options = parser.parse_args()
    threads = [f"trainer.hardware.threads={options.threads}"] if options.threads else []
    choices = [*threads, *options.choices]
    with tempfile.TemporaryDirectory() as folder:
        epoch = float_epoch(choices, Path(folder))
        job = main_job(choices, Path(folder))
    print(f"\nload of the machine: {os.getloadavg()[0]:.1f}")
    ratio = (job[0] / epoch[0], job[1] / epoch[1])
    print("|  | seconds | processor seconds |\n|:--|--:|--:|")
    for what, (seconds, used) in {"one float epoch": epoch, "the main job": job}.items():
        print(f"| {what} | {seconds:.1f} | {used:.1f} |")
    print(f"| in float epochs, {EPOCHS} at most | {ratio[0]:.2f} | {ratio[1]:.2f} |")


if __name__ == "__main__":
    main()
