"""What a run leaves behind per layer: `layers.csv` and `histograms.npz`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from dyadic.network.activations import ActivationQuantization
from dyadic.network.insert import FLOAT
from dyadic.network.layers import Layer, module_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.weights import latent_weight, weight_quantization
from dyadic.record.files import write_atomically

HISTOGRAM_BINS = 64


def sqnr_db(x: Tensor, value: Tensor) -> float:
    """Signal to quantization noise, 10 log10(sum x^2 / sum (x - value)^2), in dB."""
    signal, noise = x.double().square().sum(), (x.double() - value.double()).square().sum()
    return float(10 * torch.log10(signal / noise)) if noise > 0 else float("inf")


@torch.no_grad()
def layer_rows(
    network: QuantizedNetwork,
    baseline: Mapping[str, Tensor],
    sensitivity: Mapping[str, float],
) -> list[dict[str, Any]]:
    """One row a weight layer; `baseline` is the float network's state.

    `sensitivity` is by layer, or empty where the run measured none.
    """
    with parametrize.cached():
        rows = [_row(network, layer, baseline) for layer in network.layers]
    measured = {name: float(f"{value:.6g}") for name, value in sensitivity.items()}
    return [row | {"sensitivity": measured.get(row["layer"])} for row in rows]


def float_weight(layer: Layer, baseline: Mapping[str, Tensor]) -> Tensor:
    """The weights that a layer's codebook is measured on.

    The shadow weights, where training keeps them; the float baseline's where the schedule froze
    the weights (INQ, TSQ), because no unquantized copy of those is left.
    """
    quantization = weight_quantization(layer.module)
    frozen = quantization is not None and quantization.mask is not None
    latent = latent_weight(layer.module)
    return baseline[f"{layer.name}.weight"].to(latent.device) if frozen else latent.detach()


def _row(network: QuantizedNetwork, layer: Layer, baseline: Mapping[str, Tensor]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "layer": layer.name,
        "kind": layer.kind,
        "parameters": layer.parameters,
        "macs": layer.macs,
        "weight_bits": FLOAT,
        "activation_bits": activation_bits(network, layer),
    }
    quantization = weight_quantization(layer.module)
    if quantization is None:
        return row
    weight, before = layer.module.weight, float_weight(layer, baseline)
    book = quantization.codebook(latent_weight(layer.module))
    return row | {
        "weight_bits": book.bits,
        "levels": book.levels.numel(),
        "sqnr_db": round(sqnr_db(before, book(before)), 3),
        "saturations": book.saturations(before),
        "zero_share": round(float((weight == 0).float().mean()), 5),
    }


def activation_bits(network: QuantizedNetwork, layer: Layer) -> int:
    """Bits of the activations that a layer reads, `FLOAT` where they are float."""
    module = module_of(network.body, layer.node.all_input_nodes[0])
    return module.quantizer.bits if isinstance(module, ActivationQuantization) else FLOAT


@torch.no_grad()
def weight_histograms(
    network: QuantizedNetwork, baseline: Mapping[str, Tensor]
) -> dict[str, np.ndarray]:
    """Histograms of weights and of quantization errors, and the levels, of every quantized layer.

    The weights before quantization (`float_weight`) and the error of the codebook on them. Where
    scales are per channel, the levels are those of the first channel.
    """
    found: dict[str, np.ndarray] = {}
    for layer, quantization in network.weights():
        before = float_weight(layer, baseline)
        book = quantization.codebook(latent_weight(layer.module))
        levels = (book.levels * book.scale.double().flatten()[0].cpu()).numpy()
        for kind, values in (("weight", before), ("error", book(before) - before)):
            counts, edges = np.histogram(values.float().cpu().numpy(), bins=HISTOGRAM_BINS)
            found[f"{layer.name}/{kind}_counts"] = counts.astype(np.int64)
            found[f"{layer.name}/{kind}_edges"] = edges.astype(np.float32)
        found[f"{layer.name}/levels"] = levels.astype(np.float32)
    return found


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz, compressed, atomically."""
    with write_atomically(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
