"""The networks that the benchmarks measure, with random weights: in floats, as integer programs of
several widths, and as ONNX Runtime's INT8 model.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torchvision
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.lower import lower
from dyadic.integer.program.files import save
from dyadic.integer.program.operations import Program
from dyadic.models import resnet8, resnet20
from dyadic.models.normalize import normalized
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.uniform import Uniform

NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int], tuple[int, int]]] = {
    "resnet18": (torchvision.models.resnet18, (3, 224, 224), (1, 8)),
    "resnet50": (torchvision.models.resnet50, (3, 224, 224), (1, 8)),
    "mobilenet_v2": (torchvision.models.mobilenet_v2, (3, 224, 224), (1, 8)),
    "resnet8": (lambda: resnet8(classes=10, channels=1), (1, 28, 28), (1,)),
    "resnet20": (lambda: resnet20(classes=10, channels=1), (1, 28, 28), (1, 64)),
}
CALIBRATION_IMAGES = 4
KINDS = {
    "W8A8": (8, 16),
    "W4A4": (4, 16),
    "W8A8, 8-bit streams": (8, 8),
    "W4A4, 8-bit streams": (4, 8),
}
"""Programs by name: bits of weights and activations, and of what is added between layers."""


class _Statistics:
    """Mean and deviation of made-up data."""

    def __init__(self, channels: int) -> None:
        self.mean: Sequence[float] = [0.5] * channels
        self.std: Sequence[float] = [0.25] * channels


def float_network(name: str, seed: int = 0) -> nn.Module:
    """The float network on normalized images, its batch norm set by random ones."""
    torch.manual_seed(seed)
    factory, shape, _ = NETWORKS[name]
    model = factory().train()
    with torch.no_grad():
        model(torch.randn(CALIBRATION_IMAGES, *shape))
    return model.eval()


def integer_program(name: str, bits: int = 8, stream_bits: int = 16, seed: int = 0) -> Program:
    """The network lowered with weights (per channel) and activations of `bits`."""
    shape = NETWORKS[name][1]
    images = torch.randint(0, 256, (CALIBRATION_IMAGES, *shape), dtype=torch.uint8)
    model = normalized(float_network(name, seed), _Statistics(shape[0]))
    network = QuantizedNetwork(trace(model.eval(), images), shape)
    widths = {layer.name: (bits, bits) for layer in network.layers}
    network.quantize(widths, lambda bits: Uniform(bits, granularity="per_channel"), Uniform)
    network.calibrate([images])
    deployed, note = Deployment(stream_bits=stream_bits).prepare(network.eval(), [images])
    return lower(deployed, name, note).program


class _Images(CalibrationDataReader):
    """Random images for ONNX Runtime's calibration."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        generator = np.random.default_rng(0)
        images = generator.standard_normal((CALIBRATION_IMAGES, 1, *shape)).astype(np.float32)
        self.left: Iterator[dict[str, np.ndarray]] = iter([{"x": image} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next image, or None."""
        return next(self.left, None)


def write_models(name: str, directory: Path) -> None:
    """The programs of `KINDS`, and ONNX Runtime's static QDQ model (u8 activations, s8
    weights per channel).
    """
    shape = NETWORKS[name][1]
    for kind, widths in KINDS.items():
        save(integer_program(name, *widths), directory / f"{name} {kind}")
    exported, prepared = directory / "float.onnx", directory / "prepared.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's remarks about itself
        torch.onnx.export(
            float_network(name),
            (torch.randn(1, *shape),),
            str(exported),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )
    quant_pre_process(str(exported), str(prepared))
    quantize_static(
        str(prepared),
        str(directory / f"{name}.onnx"),
        _Images(shape),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
