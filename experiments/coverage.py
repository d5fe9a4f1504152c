"""Which of torchvision's networks become integers, exactly: docs/networks.md, README.md.

    python -m experiments.coverage [NETWORK ...] [--again]      or: make coverage

Weights are random, batch norm is set by random images, which also calibrate; then each network is
quantized to W8A8 and to INQ's 5 bits with 8-bit activations, lowered, and run on other random
images by three engines and in float64, which must be equal. Beside it stands the largest difference
of a logit to the float network, in percent of its largest, and for W8A8 the same of a float network
with errors as large as those of quantization, but up or down at random: with random weights, batch
norm makes any small error grow from layer to layer, so the first number says much of that and
little of quantization. (INQ is a training; without one its errors are large.) What was measured is
kept.
"""

import argparse
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import get_model

import dyadic
from dyadic.network.activations import activation_quantizations
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.reading.equivalence import difference
from dyadic.network.weights import latent_weight
from dyadic.quantizers.quantizer import Quantizer
from dyadic.record.files import write_text
from dyadic.report.command import fill
from dyadic.report.tables import csv, markdown

TABLE, PAGE, README = map(Path, ("results/tables/coverage.csv", "docs/networks.md", "README.md"))
MARK = "coverage"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGES = 64  # that are compared, and as many that calibrate
PIXELS = {"inception_v3": 80, "vit_b_16": 224, "swin_t": 64, "convnext_tiny": 64}  # of others 64
NETWORKS = (
    *("alexnet", "vgg11_bn", "vgg16", "resnet18", "resnet34", "resnet50", "resnet101"),
    *("resnext50_32x4d", "wide_resnet50_2", "squeezenet1_1", "googlenet", "inception_v3"),
    *("densenet121", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_v2_s"),
    *("regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "vit_b_16", "swin_t"),
)
METHODS: dict[str, Callable[[], Quantizer]] = {
    "W8A8": lambda: dyadic.Uniform(8, granularity="per_channel"),
    "INQ 5 bits": lambda: dyadic.PowerOfTwo(5),
}
DIFFERENCE, CONTROL = "largest difference, %", "float with random errors, %"
COLUMNS = ["network", "pixels", "method", "operations", "integers", DIFFERENCE, CONTROL, "note"]


def images(pixels: int, seed: int) -> Tensor:
    """Random images, uint8 [N, 3, H, W]."""
    source = torch.Generator().manual_seed(seed)
    return torch.randint(256, (IMAGES, 3, pixels, pixels), generator=source, dtype=torch.uint8)


def normal(pictures: Tensor) -> Tensor:
    """Images as a network is given them in float."""
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (MEAN, STD))
    return (pictures.float() / 255 - mean) / std


@torch.no_grad()
def float_network(name: str, pixels: int) -> nn.Module:
    """Random weights; each batch norm's statistics are those of random images."""
    torch.manual_seed(0)
    options = {"init_weights": True, "aux_logits": False}
    special = options if name in ("googlenet", "inception_v3") else {}
    model = get_model(name, weights=None, **special)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the average over all that it sees
    if norms:
        model.train()(normal(images(pixels, 0)))
    return model.eval()


@torch.no_grad()
def with_random_errors(quantized: QuantizedNetwork) -> QuantizedNetwork:
    """A float copy: each weight and activation is off by what quantizing it costs, up or down."""
    network, source = quantized.clone(), torch.Generator().manual_seed(0)

    def scattered(x: Tensor, value: Tensor) -> Tensor:
        up = torch.randint(2, x.shape, generator=source, dtype=torch.int8)
        return x + (value - x) * (2 * up - 1)

    def scattered_output(_: nn.Module, given: tuple[Tensor], value: Tensor) -> Tensor:
        return scattered(given[0], value)

    for layer, weights in network.weights():
        latent = latent_weight(layer.module)
        latent.copy_(scattered(latent, layer.module.weight))
        weights.blend = 0.0  # the weights as they are
    for quantization in activation_quantizations(network).values():
        quantization.register_forward_hook(scattered_output)
    return network.eval()


@torch.no_grad()
def measure(name: str, method: str) -> dict[str, Any]:
    """One row: the network under a method, or why it has no integer form."""
    pixels = PIXELS.get(name, 64)
    row: dict[str, Any] = {"network": name, "pixels": pixels, "method": method}
    model, calibration, shown = float_network(name, pixels), images(pixels, 0), images(pixels, 1)
    try:
        quantized = dyadic.quantize(
            model,
            calibration,
            weight=METHODS[method](),
            activation=dyadic.Uniform(8),
            mean=MEAN,
            std=STD,
        )
        program = dyadic.lower(quantized)
    except dyadic.UserError as error:
        return row | {"integers": "refused", "note": str(error)}
    report = dyadic.check(quantized, program, shown)
    wanted = torch.cat([model(normal(part)) for part in shown.split(16)])
    found = {DIFFERENCE: torch.from_numpy(program.run(shown)) * program.logit_scale}
    if method == "W8A8":
        found[CONTROL] = with_random_errors(quantized)(shown)
    shares = {key: round(100 * difference(wanted, x), 2) for key, x in found.items()}
    equal = f"equal in {len(report.engines)} engines and float64"
    return row | {
        "operations": len(program.operations),
        "integers": equal if report.passed else f"DIFFER: {report.first_difference}",
        **shares,
        "note": program.note,
    }


def main() -> None:
    """Measure what is missing, row by row, and write the tables after each."""
    parser = argparse.ArgumentParser(description="torchvision's networks as integers")
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--again", action="store_true", help="measure what is known too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # sums in one order: such networks enlarge any difference
    table = pd.read_csv(TABLE) if TABLE.is_file() else pd.DataFrame()
    rows = {(row["network"], row["method"]): row for row in table.to_dict("records")}
    for name in arguments.networks:
        for method in METHODS:
            if (name, method) not in rows or arguments.again:
                rows[name, method] = measure(name, method)
                print(*rows[name, method].values(), sep="  ", flush=True)
                gc.collect()
            write(list(rows.values()))


def write(rows: list[dict[str, Any]]) -> None:
    """All rows into the CSV and the page, a row a network into the README; as NETWORKS has them."""
    order = {name: place for place, name in enumerate(NETWORKS)}
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"operations": "Int64"})
    table = table.sort_values("network", key=lambda names: names.map(order), kind="stable")
    write_text(TABLE, csv(table))
    shown = [(PAGE, MARK, markdown(table)), (README, MARK, markdown(short(table)))]
    fill(shown, check=False, module="coverage")


def short(table: pd.DataFrame) -> pd.DataFrame:
    """A row a network: its integers by each method, and how far W8A8 is from float."""
    found = table.pivot(index="network", columns="method", values="integers")
    found = found.replace(" in .* and float64", "", regex=True).reindex(columns=list(METHODS))
    numbers = table[table.method == "W8A8"].set_index("network")[[DIFFERENCE, CONTROL]]
    found = found.join(numbers).loc[table.network.unique()]
    return found.reset_index().rename_axis(columns=None)


if __name__ == "__main__":
    main()
