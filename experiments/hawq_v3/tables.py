"""HAWQ-V3's published tables from our own code: `python -m experiments.hawq_v3.tables`.

Prints published beside ours, row by row, and writes results/tables/published_hawq_v3_{uniform,
mixed, resnet18_bits, resnet50_bits}.csv. No training and no data: sizes and bit operations follow
from layer shapes, and the 18 integer programs from the authors' per-layer figures.
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import torch
from experiments.hawq_v3.costs import BOPS_CONVENTION_B, gbops_mixed, layer_costs
from experiments.hawq_v3.published import (
    BUDGETS,
    CHOICES,
    LEVELS,
    PYTORCHCV_MACS,
    Notebook,
    cell,
    torchvision_name,
)

from dyadic.allocation.cost import (
    BOPS_CONVENTION,
    SIZE_CONVENTION,
    LayerCost,
    gbops,
    size_mib,
)
from dyadic.allocation.problem import grid
from dyadic.allocation.solve import Solution, solve
from dyadic.allocation.solvers.ilp import Cbc
from dyadic.models.imagenet import inception_v3, resnet18, resnet50
from dyadic.network.insert import FLOAT, Bits
from dyadic.record.files import write_atomically

TABLES = Path(__file__).parents[2] / "results" / "tables"

# Network, row of Table 1, weight bits, activation bits.
UNIFORM = [
    ("ResNet-18", "FP32", 32, 32),
    ("ResNet-18", "HAWQ-V3", 8, 8),
    ("ResNet-18", "PACT", 5, 5),
    ("ResNet-18", "LQ-Nets", 4, 32),
    ("ResNet-18", "HAWQ-V3", 4, 4),
    ("ResNet-50", "FP32", 32, 32),
    ("ResNet-50", "HAWQ-V3", 8, 8),
    ("ResNet-50", "PACT", 5, 5),
    ("ResNet-50", "LQ-Nets", 4, 32),
    ("ResNet-50", "HAWQ-V3", 4, 4),
    ("Inception-v3", "FP32", 32, 32),
    ("Inception-v3", "HAWQ-V3", 8, 8),
    ("Inception-v3", "Integer-only", 7, 7),
    ("Inception-v3", "HAWQ-V3", 4, 4),
]


@cache
def network_costs(network: str) -> tuple[LayerCost, ...]:
    """Layers of one of the tables' networks at its published input size, without weights."""
    builders = {
        "ResNet-18": (resnet18, 224),
        "ResNet-50": (partial(resnet50, stride_position="v1"), 224),  # as PyTorchCV has it
        "Inception-v3": (inception_v3, 299),
    }
    build, pixels = builders[network]
    with torch.device("meta"):
        return tuple(layer_costs(build(1000, 3), (3, pixels, pixels)))


def uniform_bits(layers: Sequence[LayerCost], bits: Bits) -> dict[str, Bits]:
    """The same widths everywhere, with first and last layer at 8 bits unless all is float."""
    ends: Bits = bits if bits == (FLOAT, FLOAT) else (8, 8)
    inner = {layer.name: bits for layer in layers}
    return inner | {layers[0].name: ends, layers[-1].name: ends}


def uniform_rows() -> Iterator[dict[str, object]]:
    """The 14 uniform rows of Table 1: size and GBOPS by Formula A beside the published ones."""
    for network, row, weight, activation in UNIFORM:
        layers = network_costs(network)
        bits = uniform_bits(layers, (weight, activation))
        published = [cell("table1", network, row, str(weight), m) for m in ("size_mb", "gbops")]
        yield {
            "network": network,
            "weight_bits": weight,
            "activation_bits": activation,
            **_beside("size_mib", published[0], size_mib(layers, bits)),
            **_beside("gbops", published[1], gbops(layers, bits)),
            "size_convention": SIZE_CONVENTION,
            "bops_convention": BOPS_CONVENTION,
        }


@cache
def solutions(network: str) -> dict[str, Solution]:
    """The nine integer programs of one network by the authors' names, size_0.75 to latency_0.25."""
    table = grid(Notebook(network).problem, CHOICES, {})
    return {
        f"{kind.removeprefix('g')}_{level}": solve(table, {kind: table.limit(kind, level)}, Cbc())
        for kind in BUDGETS
        for level in LEVELS
    }


def mixed_rows() -> Iterator[dict[str, object]]:
    """The 18 mixed rows of Table 2: size by Formula A, GBOPS by Formula A and B, and Omega."""
    for network, macs in PYTORCHCV_MACS.items():
        layers, middle = network_costs(network), Notebook(network).layers
        for row, solution in solutions(network).items():
            bits = {torchvision_name(name): width for name, width in solution.bits.items()}
            bits |= {layers[0].name: (8, 8), layers[-1].name: (8, 8)}
            published = [cell("table2", network, row, "4/8", m) for m in ("size_mb", "gbops")]
            yield {
                "network": network,
                "constraint": row,
                **_beside("size_mib", published[0], size_mib(layers, bits)),
                **_beside("gbops", published[1], gbops_mixed(middle, solution.bits, macs)),
                "gbops_formula_a": f"{gbops(layers, bits):.2f}",
                "omega": f"{solution.omega:.6f}",
                "size_convention": SIZE_CONVENTION,
                "bops_convention": BOPS_CONVENTION_B,
            }


def bits_rows(network: str) -> Iterator[dict[str, object]]:
    """The solved widths, one row a middle layer and one column a constraint."""
    for order, layer in enumerate(Notebook(network).layers):
        columns = {row: s.bits[layer.name][0] for row, s in solutions(network).items()}
        yield {"layer": order, **columns}


def _beside(name: str, published: float, ours: float) -> dict[str, object]:
    return {
        f"{name}_published": published,
        name: f"{ours:.2f}",
        f"{name}_difference": f"{ours - published:+.2f}",
    }


def write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    """Write rows as CSV, atomically."""
    with write_atomically(path) as beside, beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def render(rows: Sequence[dict[str, object]]) -> str:
    """Rows as a text table, without the columns that name a convention."""
    names = [name for name in rows[0] if not name.endswith("convention")]
    cells = [names, *([str(row[name]) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.rjust, line, widths)) for line in cells)
    return "\n".join(lines) + "\n"


def main(folder: Path = TABLES) -> None:
    """Compute, print and write the four tables."""
    tables = {
        "published_hawq_v3_uniform": list(uniform_rows()),
        "published_hawq_v3_mixed": list(mixed_rows()),
        "published_hawq_v3_resnet18_bits": list(bits_rows("ResNet-18")),
        "published_hawq_v3_resnet50_bits": list(bits_rows("ResNet-50")),
    }
    for name, rows in tables.items():
        write(folder / f"{name}.csv", rows)
        notes = {str(row[key]) for row in rows for key in row if key.endswith("convention")}
        sys.stdout.write("\n".join([name, *sorted(notes), render(rows), ""]))


if __name__ == "__main__":
    main()
