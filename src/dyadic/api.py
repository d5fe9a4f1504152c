"""What `import dyadic` offers: a network of one's own to a checked integer program, in five calls.

Only puts the parts together; what each of them does stands where it is defined.
"""

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.integer.engines.available import Engine, engines
from dyadic.integer.engines.check import CheckReport, compare
from dyadic.integer.engines.compiled import CompiledEngine, CompilerNotFound, export_c
from dyadic.integer.engines.compiled.cmsis import export_cmsis
from dyadic.integer.engines.onnx.engine import OnnxEngine, export_onnx
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering import lower as lowering
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import FLOAT_BATCH, float_logits
from dyadic.integer.program import files, operations
from dyadic.integer.program.bounds import Proof, prove
from dyadic.models.normalize import Normalized, NormalizePixels
from dyadic.network.insert import FLOAT, Bits
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.quantizer import Quantizer

ENGINES = {"compiled": CompiledEngine, "onnx": OnnxEngine, "reference": ReferenceEngine}
Images = Tensor | np.ndarray  # uint8 [N, C, H, W]


def quantize(
    model: nn.Module,
    images: Images,
    *,
    weight: Quantizer | None = None,
    activation: Quantizer | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    bits: Mapping[str, int | Bits] | None = None,
) -> QuantizedNetwork:
    """A copy of the model that takes uint8 images and computes with quantized values.

    model      on floats: (images / 255 - mean) / std for each channel
    images     uint8 [N, C, H, W]: calibrate the activations' ranges, now and when it is lowered
    weight, activation   each layer gets a quantizer like it; None leaves that side float
    mean, std  0 and 1 for every channel where they are left out
    bits       other widths of single layers, by name: one number or (weight, activation)

    Fine-tune it in any loop, or under a schedule (`dyadic.schedules.schedule.Schedule.loop`).
    Raises UserError for what cannot be traced or quantized, naming the operation or the layer.
    """
    images = _images(images)
    channels = images.shape[1]
    statistics = (mean or [0.0] * channels, std or [1.0] * channels)
    if any(len(values) != channels for values in statistics):
        raise UserError(f"mean={mean}, std={std}; the images have {channels} channels")
    own = copy.deepcopy(model).cpu().eval()
    body = trace(Normalized(NormalizePixels(*statistics), own), images)
    network = QuantizedNetwork(body, (channels, images.shape[2], images.shape[3]))
    network.calibration = images
    sides = [None if q is None else q.like for q in (weight, activation)]
    network.quantize(_widths(network, weight, activation, bits or {}), *sides)
    network.calibrate(images.split(FLOAT_BATCH))
    return network.eval()


def lower(network: QuantizedNetwork, deployment: Deployment | None = None) -> "Program":
    """The integer program of a network that `quantize` made, trained since or not.

    deployment  widths of what integers need and the network lacks; 8 and 16 bits, if None
    Raises UserError, by name, for what has no integer form.
    """
    return _program(prove(lowered(network, deployment)[1].program))


def check(
    network: QuantizedNetwork,
    program: "Program",
    images: Images,
    labels: Sequence[int] | np.ndarray | None = None,
    deployment: Deployment | None = None,
) -> CheckReport:
    """Every == from the user's model to the last engine, on uint8 images [N, C, H, W].

    The network is lowered again, in float64, so that the program is taken for nothing but what it
    computes. Exact means equal: `passed` is False when one logit differs anywhere.
    """
    images = _images(images)
    deployed, made = lowered(network, deployment)
    float32, float64 = float_logits(deployed, made, images)
    found = engines(program.proof)
    classes = None if labels is None else np.asarray(labels)
    return compare(found, images.numpy(), classes, float64, float32, network.traced_difference)


def lowered(
    network: QuantizedNetwork, deployment: Deployment | None = None
) -> tuple[QuantizedNetwork, lowering.Lowered]:
    """What stands behind `lower`: the network as integers have it, and every tensor's scale.

    The network is a copy with a quantizer wherever integers need one; `scales` of the second value
    are by operation of its `program`.
    """
    if network.calibration is None:
        raise UserError("the network has no calibration images; dyadic.quantize keeps them")
    batches = network.calibration.split(FLOAT_BATCH)
    deployed, note = (deployment or Deployment()).prepare(network.clone().cpu(), batches)
    return deployed, lowering.lower(deployed, "network", note)


def load(directory: str | Path) -> "Program":
    """The program that `Program.save` wrote; ProgramError, a UserError, for damaged files."""
    return _program(files.load_proof(Path(directory)))


class Program(operations.Program):
    """Integer operations from uint8 pixels to int32 logits, with the engines that run them."""

    def run(
        self,
        images: Images,
        engine: Literal["compiled", "onnx", "reference"] | None = None,
    ) -> np.ndarray:
        """Logits, int32 [N, classes], in steps of `logit_scale`; the fastest engine, if None."""
        return self._engine(engine).run(_images(images).numpy())

    def trace(
        self,
        images: Images,
        engine: Literal["compiled", "onnx", "reference"] = "reference",
    ) -> dict[str, np.ndarray]:
        """Every tensor that the engine keeps, by operation, [N, C, H, W] or [N, C]."""
        return self._engine(engine).trace(_images(images).numpy())

    def save(self, directory: str | Path) -> None:
        """Write `program.json` and `weights.npz`."""
        files.save(self.proof, Path(directory))

    def export_c(
        self, directory: str | Path, prefix: str = "dyadic", classes: Sequence[str] = ()
    ) -> None:
        """Write C99 sources that need nothing else; all their names begin with `prefix`."""
        export_c(self.proof, Path(directory), prefix, classes)

    def export_cmsis(self, directory: str | Path, prefix: str = "dyadic") -> None:
        """Write calls into CMSIS-NN, for Cortex-M; refuses by name what it cannot hold."""
        export_cmsis(self.proof, Path(directory), prefix)

    def export_onnx(self, path: str | Path) -> None:
        """Write an ONNX model of integer operators."""
        export_onnx(self.proof, Path(path))

    @cached_property
    def proof(self) -> Proof:
        """Shapes, ranges and bounds of every tensor: proved once, for every engine and export."""
        return prove(self)

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {}

    def _engine(self, name: str | None) -> Engine:
        if name is None:
            try:
                return self._engine("compiled")
            except CompilerNotFound:
                return self._engine("onnx")
        if name not in ENGINES:
            raise UserError(f"engine={name!r}; it is one of {', '.join(ENGINES)}")
        if name not in self._engines:
            self._engines[name] = ENGINES[name](self.proof)
        return self._engines[name]


def _program(proof: Proof) -> Program:
    program = Program(**vars(proof.program))
    vars(program)["proof"] = proof
    return program


def _images(images: Images) -> Tensor:
    tensor = torch.as_tensor(images)
    if tensor.dtype != torch.uint8 or tensor.ndim != 4 or not len(tensor):
        given = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
        raise UserError(f"images are {given}; uint8 [N, C, H, W] with at least one is right")
    return tensor.cpu()


def _widths(
    network: QuantizedNetwork,
    weight: Quantizer | None,
    activation: Quantizer | None,
    bits: Mapping[str, int | Bits],
) -> dict[str, Bits]:
    """Every layer's widths; UserError for a layer that does not exist."""
    names = [layer.name for layer in network.layers]
    if wrong := [name for name in bits if name not in names]:
        raise UserError(f"bits of {wrong[0]!r}: the layers are {', '.join(names)}")
    usual = (weight.bits if weight else FLOAT, activation.bits if activation else FLOAT)
    given = {name: (w, w) if isinstance(w, int) else w for name, w in bits.items()}
    return dict.fromkeys(names, usual) | given
