"""The survey's statements on tensors, without training: `python -m experiments.survey`.

Gholami et al. 2021, sections III-B to III-F, on the weights and activations of a shipped network:
ranges with an outlier put in, and non-uniform against uniform levels. Accuracy is measured by
`survey_*.yaml`. Writes `results/tables/survey.csv`, a row a statement: in how many layers it holds,
and by how much (the mean ratio of squared errors, above 1 where the statement holds).
"""

import csv
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from dyadic.commands.build import build
from dyadic.commands.run import register_run_name
from dyadic.quantizers import Logarithmic, Uniform
from dyadic.quantizers.calibration import entropy, mse, percentile
from dyadic.quantizers.lloyd import Lloyd
from dyadic.quantizers.quantizer import Quantizer
from dyadic.record.files import write_atomically
from dyadic.run.pipeline import calibration_images, float_baseline

ROOT = Path(__file__).parents[1]
OUTLIER = 10.0  # times the largest value
Make = Callable[[], Quantizer]


@dataclass(frozen=True)
class Statement:
    """`better` has the smaller squared error of the two, on weights or activations."""

    text: str
    on: str
    better: Make
    worse: Make
    outlier: bool = False


def statements() -> list[Statement]:
    """All of them, at 4 bits (levels: 3 bits)."""
    weight, activation = partial(Uniform, 4), partial(Uniform, 4, signed=False)
    ranges = {"percentile": percentile, "squared error": mse, "entropy": entropy}
    found = [
        Statement(f"{name} ahead of min-max, with an outlier", on, partial(make, calibration=rule),
                  make, outlier=True)
        for name, rule in ranges.items()
        for on, make in (("weights", weight), ("activations", activation))
    ]  # fmt: skip
    best = partial(Uniform, 3, calibration=mse)
    return [
        *found,
        Statement("channelwise ahead of layerwise", "weights",
                  partial(weight, granularity="per_channel"), weight),
        Statement("full ahead of restricted range", "weights",
                  partial(weight, narrow=False), weight),
        Statement("asymmetric ahead of symmetric behind a ReLU", "activations", activation, weight),
        Statement("log base 2 ahead of uniform at 3 bits, up to the largest value", "weights",
                  partial(Logarithmic, 3), partial(Uniform, 3)),
        Statement("log base 2 ahead of uniform at 3 bits, each with its best range", "weights",
                  partial(Logarithmic, 3, fsr="mse"), best),
        Statement("Lloyd's scale ahead of min-max at 3 bits", "weights", partial(Lloyd, 3),
                  partial(Uniform, 3)),
    ]  # fmt: skip


def error(tensor: Tensor, make: Make, kept: Tensor) -> float:
    """Mean squared error on the values of `kept`."""
    book = make().codebook(tensor)
    return float((book(tensor) - tensor)[kept].square().mean())


def holds(statement: Statement, tensors: list[Tensor]) -> dict[str, object]:
    """The row of a statement."""
    ratios = []
    for tensor in tensors:
        kept = torch.ones_like(tensor, dtype=torch.bool)
        if statement.outlier:  # its own error is not what is lost
            tensor = tensor.clone()
            tensor.view(-1)[0], kept.view(-1)[0] = OUTLIER * tensor.abs().max(), False
        pair = (error(tensor, make, kept) for make in (statement.worse, statement.better))
        worse, better = pair
        ratios.append(worse / better if better else 1.0)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    row = {"statement": statement.text, "on": statement.on, "layers": len(ratios)}
    return row | {"held in": sum(r >= 1 for r in ratios), "ratio of errors": round(mean, 2)}


@torch.no_grad()
def collected(choices: list[str], results: Path) -> dict[str, list[Tensor]]:
    """Weights of all layers, and what the layers behind a ReLU read of 64 images."""
    register_run_name()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("config", ["model=resnet8", f"results_dir={results}", *choices])
    run = build(cfg, results)
    network = run.model()
    network.load_state_dict(float_baseline(run).state)
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    read: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda m, x, y: read.append(x[0])) for m in layers[1:]]
    network.eval()(calibration_images(run.data, 64))
    for hook in hooks:
        hook.remove()
    return {"weights": [m.weight.detach() for m in layers],
            "activations": [x for x in read if (x >= 0).all()]}  # fmt: skip


def rows(choices: list[str], results: Path) -> Iterator[dict[str, object]]:
    """A row for every statement."""
    tensors = collected(choices, results)
    for statement in statements():
        yield holds(statement, tensors[statement.on])


def main(choices: list[str], results: Path = ROOT / "results") -> None:
    """Print the table and write it."""
    table = list(rows(choices, results))
    path = results / "tables" / "survey.csv"
    with write_atomically(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    for row in table:
        print(*row.values(), sep=" | ")


if __name__ == "__main__":
    main(sys.argv[1:])
