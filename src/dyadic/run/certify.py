"""From a trained network to a checked integer program: prepare, lower, save, run, compare."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import CheckReport, compare
from dyadic.integer.engines.compiled import CompiledEngine, export_c
from dyadic.integer.engines.onnx.engine import export_onnx
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.float64 import FLOAT_BATCH, float_logits
from dyadic.integer.lowering.lower import Lowered, lower
from dyadic.integer.program import bounds
from dyadic.integer.program.files import save
from dyadic.network.activations import ActivationQuantization
from dyadic.network.layers import module_of
from dyadic.network.quantized import QuantizedNetwork

log = logging.getLogger(__name__)
COMPARED = 256  # images on which every layer's codes are compared with the float32 network's


@dataclass(frozen=True)
class Certificate:
    """What the integer check found, and what it adds to `layers.csv` and `histograms.npz`."""

    report: CheckReport
    columns: dict[str, dict[str, Any]]
    arrays: dict[str, np.ndarray]
    program_note: str
    seconds: float
    bytes: int


def certify(
    network: QuantizedNetwork, deployment: Any, images: Tensor, data: Any, directory: Path
) -> Certificate:
    """Lower a trained network, write its program, and check that all engines agree on every image.

    images are for calibration, uint8. Raises UserError when a value differs anywhere, naming the
    first layer, channel and pixel; the files are left for looking.
    """
    started = time.monotonic()
    deployed, note = deployment.prepare(network.cpu(), images.cpu().split(FLOAT_BATCH))
    lowered = lower(deployed, directory.name, note)
    proof = bounds.prove(lowered.program)
    stored = save(proof, directory)
    export_onnx(proof, directory / "program.onnx")
    export_c(proof, directory / "c", classes=data.class_names)
    test_images, labels = data.test_arrays()
    float32, float64 = float_logits(deployed, lowered, torch.as_tensor(test_images))
    found = engines(proof)
    for reason in found.missing:
        log.warning("%s", reason)
    arrays = np.asarray(test_images), np.asarray(labels)
    report = compare(found, *arrays, float64, float32, network.traced_difference)
    if not report.passed:
        raise UserError(f"the integer check failed: {report.first_difference}")
    found_arrays = _disagreements(report, float32, *arrays)
    columns = _layer_columns(deployed, lowered, proof, torch.as_tensor(test_images[:COMPARED]))
    compiled = found.available.get("compiled")
    if isinstance(compiled, CompiledEngine):
        for layer in deployed.layers:  # all algorithms, of one that stands in several places
            names = (compiled.algorithms[lowered.layers[node.name]] for node in layer.nodes)
            columns[layer.name]["algorithm"] = ", ".join(dict.fromkeys(names))
    seconds = round(time.monotonic() - started, 1)
    return Certificate(report, columns, found_arrays, note, seconds, stored)


def _disagreements(
    report: CheckReport, float32: np.ndarray, images: np.ndarray, labels: np.ndarray
) -> dict[str, np.ndarray]:
    """The confusion matrix of the program, and the images where float32 decides differently."""
    by_float, by_program = float32.argmax(1), report.predictions
    classes = float32.shape[1]
    flat = np.bincount(labels.astype(np.int64) * classes + by_program, minlength=classes**2)
    differ = np.flatnonzero(by_float != by_program)[:64]
    return {
        "confusion": flat.reshape(classes, classes),
        "disagreeing": images[differ],
        "disagreeing_labels": np.stack([labels[differ], by_float[differ], by_program[differ]], 1),
    }


@torch.no_grad()
def _layer_columns(
    deployed: QuantizedNetwork, lowered: Lowered, proof: bounds.Proof, images: Tensor
) -> dict[str, dict[str, Any]]:
    """Accumulator bits, and the largest difference to the float32 codes in steps, by layer."""
    bits = bounds.accumulator_bits(proof)
    trace = ReferenceEngine(proof).trace(images.numpy())
    steps = _float32_steps(deployed, lowered, images, trace)
    columns = {}
    for layer in deployed.layers:
        names = [lowered.layers[node.name] for node in layer.nodes]
        columns[layer.name] = {
            "accumulator_bits": max(bits[name] for name in names),
            "float_difference_steps": max(steps.get(name, 0) for name in names),
        }
    return columns


def _float32_steps(
    deployed: QuantizedNetwork, lowered: Lowered, images: Tensor, trace: dict[str, np.ndarray]
) -> dict[str, int]:
    """Largest |float32 code - program code| behind each quantizer, by operation name."""
    found: dict[str, int] = {}

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            module = module_of(deployed.body, n)
            if isinstance(module, ActivationQuantization):
                name = lowered.operations[n.name]
                codes = torch.round(result.double() / lowered.scales[name]).numpy()
                found[name.removesuffix(".codes")] = int(np.abs(codes - trace[name]).max())
            return result

    Watch(deployed.body).run(images)
    return found
