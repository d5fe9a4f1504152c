"""HAWQ-V3's published figures, from experiments/published/hawq_v3_*.csv.

The authors' notebook holds, for the middle layers of ResNet-18 and ResNet-50 (all but the first
convolution and the classifier), the mean Hessian trace, the weight error at 8 and 4 bits, and the
latency on a Tesla T4. Layers carry PyTorchCV's names there; `torchvision_name` translates.
"""

import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dyadic.allocation.cost import LayerCost
from dyadic.allocation.latency import LatencyTable, Row
from dyadic.allocation.problem import Problem
from dyadic.network.insert import Bits

FOLDER = Path(__file__).parents[1] / "published"
WIDTHS = (8, 4)
CHOICES: tuple[Bits, ...] = ((4, 4), (8, 8))
LEVELS = (0.75, 0.5, 0.25)
BUDGETS = ("size", "gbops", "latency")

# PyTorchCV's own MAC counts of the whole networks, the base of Formula B.
PYTORCHCV_MACS = {"ResNet-18": 1_820_410_000, "ResNet-50": 3_877_950_000}


def read(name: str) -> list[dict[str, str]]:
    """The rows of experiments/published/hawq_v3_{name}.csv."""
    with (FOLDER / f"hawq_v3_{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cell(name: str, network: str, row: str, bits: str, metric: str) -> float:
    """One published number: `cell("table1", "ResNet-18", "HAWQ-V3", "8", "size_mb")`."""
    return next(
        float(line["value"])
        for line in read(name)
        if (line["network"], line["row"], line["weight_bits"], line["metric"])
        == (network, row, bits, metric)
    )


def torchvision_name(name: str) -> str:
    """PyTorchCV's name of a residual network's layer as torchvision calls it.

    >>> torchvision_name("stage2.unit1.downsample")
    'layer2.0.downsample.0'
    """
    stage, unit, layer = name.split(".")
    block = f"layer{stage.removeprefix('stage')}.{int(unit.removeprefix('unit')) - 1}"
    return f"{block}.{layer}.0" if layer == "downsample" else f"{block}.{layer}"


@dataclass(frozen=True)
class Notebook:
    """The authors' inputs to bit selection for one network: "ResNet-18" or "ResNet-50"."""

    network: str

    @cached_property
    def lines(self) -> list[dict[str, str]]:
        """One row a middle layer, in the authors' order."""
        return read(f"{self.network.lower().replace('-', '')}_layers")

    @cached_property
    def layers(self) -> list[LayerCost]:
        """The middle layers under PyTorchCV's names."""
        return [
            LayerCost(line["layer"], int(line["parameters"]), int(line["macs"]))
            for line in self.lines
        ]

    def omega(self, layer: str, weight_bits: int, activation_bits: int) -> float:
        """Mean trace times ||Q(W) - W||^2; the published sensitivity knows weights only."""
        return self._omega[layer, weight_bits]

    @cached_property
    def _omega(self) -> dict[tuple[str, int], float]:
        return {
            (line["layer"], bits): float(line["mean_trace"]) * float(line[f"weight_error_{bits}"])
            for line in self.lines
            for bits in WIDTHS
        }

    @cached_property
    def latency(self) -> LatencyTable:
        """Tesla T4, batch 8; the raw times, as the authors used them."""
        rows = [
            Row(layer, (bits, bits), float(line[f"t4_ms_{bits}"]), faster=True, spread=0.0)
            for layer, line in zip(self.layers, self.lines, strict=True)
            for bits in WIDTHS
        ]
        return LatencyTable(f"Tesla T4 ({self.network}, batch 8)", rows)

    @cached_property
    def problem(self) -> Problem:
        """Everything together, with the notebook's ties."""
        ties = {line["layer"]: line["tied_to"] for line in self.lines if line["tied_to"]}
        return Problem(self.layers, self.omega, ties, self.latency)
