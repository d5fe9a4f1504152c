"""The float networks that the repository ships: `python -m experiments.networks`.

Each is a file `results/networks/DATASET-MODEL-sSEED.safetensors` (the state of the float model,
without the normalization in front) with a record `.json` beside it. What is there is kept, and a
training that was stopped continues from its last epoch. `choose` compares recipes on 5000 held-out
training images with the quickest network; the test set takes no part in it.
"""

import csv
import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file

from dyadic.commands.build import build
from dyadic.commands.run import register_run_name
from dyadic.record.files import write_atomically, write_json
from dyadic.record.identity import baseline_digest
from dyadic.record.read import read_csv
from dyadic.run.pipeline import float_baseline

HEAD = """# Float networks

What runs start from (`start=shipped`). `make networks` made them by one recipe
(`conf/trainer/converged.yaml`), chosen on held-out training images ([recipes.csv](recipes.csv)); a
record beside each has the recipe, the hardware, the seconds and the file's sha256. Percent of the
test images, looked at once.

| network | seeds | epochs | top-1, mean | seed by seed | top-5, mean | hardware |
| :-- | :-- | --: | --: | :-- | --: | :-- |
"""
ROOT = Path(__file__).parents[1]
HELD_OUT = 5000
PARAMETERS = "body."  # behind the normalization


@dataclass(frozen=True)
class Network:
    """A network of `conf/model`, its choices beyond the recipe, and its seeds."""

    model: str
    seeds: Sequence[int]
    choices: Sequence[str] = ()


OPTIMIZER = "trainer.baseline.optimizer"
SMOOTHING = "trainer.baseline.loss.label_smoothing"
SHORT = "trainer.baseline.epochs=8"
NETWORKS = (
    Network("resnet20", [0]),
    Network("resnet8", range(14), (SHORT,)),
    Network("resnet20", range(1, 5)),
    Network("resnet18", range(3), ("model.stem=cifar", "model.width=16")),  # a file of 2.8 MB
    Network("small_inception", range(3)),
)
CANDIDATES = tuple(
    (f"{OPTIMIZER}.lr={lr}", f"{OPTIMIZER}.weight_decay={decay}", f"{SMOOTHING}={smoothing}")
    for lr, decay, smoothing in ((0.2, 5e-4, 0), (0.4, 5e-4, 0), (0.2, 1e-3, 0), (0.2, 5e-4, 0.1))
)


def configuration(model: str, *choices: str, results: Path) -> DictConfig:
    """A run's configuration under the recipe of `conf/trainer/converged.yaml`."""
    register_run_name()
    given = ["start=train", f"model={model}", "trainer=converged", *choices]
    given.append(f"results_dir={results}")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("config", given)


def ship(model: str, seed: int, choices: Sequence[str], results: Path) -> Path:
    """Train one network unless it is there; returns where its record is."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stdout)
    cfg = configuration(model, f"seed={seed}", *choices, results=results)
    record = results / "networks" / f"{cfg.dataset.name}-{model}-s{seed}.json"
    if record.exists():
        return record
    run = build(cfg, results)
    trained = float_baseline(run)
    state = {k.removeprefix(PARAMETERS): v for k, v in trained.state.items() if PARAMETERS in k}
    weights = record.with_suffix(".safetensors")
    with write_atomically(weights) as temporary:
        save_file(state, temporary)
    facts: dict[str, Any] = {
        **{"dataset": cfg.dataset.name, "model": model, "seed": seed},
        "recipe": {name: run.baseline_determined_by[name] for name in ("dataset", "baseline")},
        "arguments": OmegaConf.to_container(cfg.model),
        "hardware": f"{run.hardware.describe()}, {run.hardware.resolved_precision}",
        **{"epochs": trained.epochs, "seconds": trained.seconds},
        **{"top1": trained.top1, "top5": trained.top5},
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
    }
    write_json(record, facts)
    return record


def choose(candidate: Sequence[str], results: Path) -> dict[str, Any]:
    """Top-1 of a recipe's last epoch on held-out training images."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO, stream=sys.stdout)
    held = ("seed=0", f"dataset.holdout={HELD_OUT}", "trainer.baseline.epochs=4")
    run = build(configuration("resnet8", *held, *candidate, results=results), results)
    float_baseline(run)
    history = read_csv(run.cache / baseline_digest(run.baseline_determined_by) / "history.csv")
    last = history.iloc[-1]
    scores = {"held_out_top1": round(last["top1"], 2), "held_out_loss": round(last["val_loss"], 4)}
    return {"recipe": " ".join(candidate)} | scores


def main(choices: Sequence[str], results: Path = ROOT / "results") -> None:
    """`choose` compares recipes; without it every network is made, two at a time."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        if "choose" in choices:
            found = pool.map(choose, CANDIDATES, [results] * len(CANDIDATES))
            _write(results / "networks" / "recipes.csv", found)
            return
        wanted = [(n.model, seed, n.choices) for n in NETWORKS for seed in n.seeds]
        for record in pool.map(ship, *zip(*wanted, strict=True), [results] * len(wanted)):
            print(record, flush=True)
    with write_atomically(results / "networks" / "README.md") as temporary:
        temporary.write_text(page(results / "networks"), encoding="utf-8")


def page(folder: Path) -> str:
    """The table of the networks in a folder, from their records: a line for each kind."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(folder.glob("*.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        kinds.setdefault(f"{facts['dataset']}, {_named(facts)}", []).append(facts)
    return HEAD + "".join(_row(name, records) for name, records in kinds.items())


def _named(facts: dict[str, Any]) -> str:
    """A network's name and options, as a run is given them."""
    options = {k: v for k, v in facts["arguments"].items() if k not in ("_target_", "name")}
    given = " ".join(f"model.{key}={value}" for key, value in options.items())
    return f"`model={facts['model']} {given}`"


def _row(name: str, records: Sequence[dict[str, Any]]) -> str:
    """Seeds, epochs, top-1 (mean, then seed by seed), top-5, hardware."""
    records = sorted(records, key=lambda facts: facts["seed"])
    top1, top5 = ([facts[key] for facts in records] for key in ("top1", "top5"))
    seeds, epochs, hardware = (
        ", ".join(dict.fromkeys(str(facts[key]) for facts in records))
        for key in ("seed", "epochs", "hardware")
    )
    each = " ".join(f"{x:.2f}" for x in top1)
    cells = [name, seeds, epochs, f"{fmean(top1):.2f}", each, f"{fmean(top5):.2f}", hardware]
    return f"| {' | '.join(cells)} |\n"


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
