"""Lowering: a deployed network, read node by node, becomes an integer program.

A value in the graph is one of three things while it is read:

    Codes    an integer tensor of the program and its real scale
    Pending  accumulators of a layer: real value = multiplier[c] * scales[c] * acc + shift[c],
             waiting for the quantizer that gives them an output scale
    Image    the uint8 input, normalized but not yet quantized

Batch norm joins `Pending` (so nothing is left in float, and power-of-two weights stay what they
are); a quantizer turns `Pending` into one operation: DN = multiplier * scales / S_out, the integer
bias = round(shift / (multiplier * scales)) (HAWQ-V3, section 3.1 and 3.2).

The bias is rounded to a unit of the accumulators. With weights of few bits that is coarse: for
ternary ones, half a unit moves a whole level of a channel across a boundary. So small weights are
multiplied by a power of two first, up to the signed byte that every kernel multiplies by anyway.
"""

import operator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx, nn

from dyadic.errors import UserError
from dyadic.integer.cells import Steps, level_integers
from dyadic.integer.dyadic import dyadic, pair
from dyadic.integer.pooling import lower_pool
from dyadic.integer.program import (
    INT32,
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    Normalize,
    Operation,
    Program,
    Relu,
    Requantize,
    Threshold,
    Weights,
)
from dyadic.models.normalize import Normalize as NormalizeModule
from dyadic.network.activations import ActivationQuantization
from dyadic.network.fold import affine
from dyadic.network.layers import module_of, propagate_shapes, shape_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.weights import latent_weight, weight_quantization

PIXEL_SHIFT = 8  # pixels enter as 256ths, so that the mean is subtracted to 1/256 of a pixel
LARGEST_BYTE = 127
SMALLEST_RATIO = 2.0**-40  # a channel that batch norm switched off (multiplier 0) counts as this


@dataclass(frozen=True)
class Codes:
    """An integer tensor: real value = scale * integer."""

    name: str
    scale: float


@dataclass(frozen=True)
class Pending:
    """A layer's accumulators: real value = factor[c] * acc + shift[c], then perhaps a ReLU."""

    layer: str
    module: nn.Conv2d | nn.Linear
    source: Codes
    weights: Weights
    factor: np.ndarray
    shift: np.ndarray
    relu: bool = False


@dataclass(frozen=True)
class Image:
    """The pixels: real value = (pixel / 255 - mean[c]) / std[c]."""

    mean: np.ndarray
    std: np.ndarray


@dataclass(frozen=True)
class Lowered:
    """The program, and where the graph's quantizers are in it.

    operations the operation that computes each quantizer node
    scales     real value of one step of those operations' tensors, by operation
    """

    program: Program
    operations: dict[str, str]
    scales: dict[str, float]


Value = Codes | Pending | Image


def lower(network: QuantizedNetwork, name: str, note: str = "") -> Lowered:
    """The integer program of a deployed network (`Deployment.prepare`).

    Raises UserError naming the layer and the reason where something has no integer form.
    """
    return _Lowering(network).program(name, note)


class _Lowering:
    """Walks the graph once; `values` maps nodes to what they are, `operations` grows in order."""

    def __init__(self, network: QuantizedNetwork) -> None:
        self.network, self.body = network, network.body
        self.values: dict[fx.Node, Value] = {}
        self.operations: dict[str, Operation] = {}
        self.of_node: dict[str, str] = {}
        self.scales: dict[str, float] = {}

    def program(self, name: str, note: str) -> Lowered:
        propagate_shapes(self.body, self.network.image_shape)
        logits = None
        for node in self.body.graph.nodes:
            if node.op == "output":
                logits = self._codes(node.all_input_nodes[0], node)
            else:
                self.values[node] = self._value(node)
        if logits is None or next(reversed(self.operations)) != logits.name:
            raise UserError(f"{name}: the network's output is not the last operation's logits")
        operations = tuple(self.operations.values())
        shape = self.network.image_shape
        program = Program(name, shape, operations, logits.scale, note)
        return Lowered(program, self.of_node, self.scales)

    def _value(self, node: fx.Node) -> Value:
        if node.op == "placeholder":
            channels = self.network.image_shape[0]
            return Image(np.zeros(channels), np.full(channels, 1 / 255))
        sources = [self.values[source] for source in node.all_input_nodes]
        if node.op == "call_function":
            return self._join(node)
        module = module_of(self.body, node)
        if isinstance(module, ActivationQuantization):
            return self._quantize(node, sources[0], module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            return self._layer(node, module)
        if isinstance(module, nn.BatchNorm2d):
            return self._batch_norm(node, sources[0], module)
        if isinstance(module, nn.ReLU):
            return self._relu(node, sources[0])
        if isinstance(module, NormalizeModule):
            return Image(_numpy(module.mean).flatten(), _numpy(module.std).flatten())
        if isinstance(module, nn.Dropout | nn.Identity):
            return sources[0]
        return self._pool(node, module)

    def _emit(self, operation: Operation) -> str:
        if operation.name in self.operations:
            raise UserError(f"{operation.name}: the layer is used twice; each use needs its own")
        self.operations[operation.name] = operation
        return operation.name

    def _codes(self, node: fx.Node, reader: fx.Node) -> Codes:
        value = self.values[node]
        if not isinstance(value, Codes):
            raise UserError(f"{reader.target}: its input {node.name} has no integer codes")
        return value

    def _layer(self, node: fx.Node, module: nn.Conv2d | nn.Linear) -> Pending:
        source = self._codes(node.all_input_nodes[0], node)
        weights, scale = integer_weights(str(node.target), module)
        shift = np.zeros(len(scale)) if module.bias is None else _numpy(module.bias)
        return Pending(str(node.target), module, source, weights, source.scale * scale, shift)

    def _batch_norm(self, node: fx.Node, value: Value, module: nn.BatchNorm2d) -> Pending:
        if not isinstance(value, Pending) or value.relu:
            raise UserError(f"{node.target}: batch norm must follow a layer to join its scale")
        multiplier, offset = (x.cpu().numpy() for x in affine(module))
        factor, shift = value.factor * multiplier, value.shift * multiplier + offset
        return replace(value, factor=factor, shift=shift)

    def _relu(self, node: fx.Node, value: Value) -> Value:
        if isinstance(value, Pending):
            return replace(value, relu=True)
        codes = self._codes(node.all_input_nodes[0], node)
        made = self.operations.get(codes.name)
        if isinstance(made, Add) and len(node.all_input_nodes[0].users) == 1:
            self.operations[codes.name] = replace(made, lo=0)
            return codes
        return replace(codes, name=self._emit(Relu(str(node.name), (codes.name,))))

    def _join(self, node: fx.Node) -> Codes:
        operands = [self._codes(source, node) for source in node.all_input_nodes]
        if len(node.all_input_nodes) == 1:
            operands = operands * 2  # x + x
        names = tuple(codes.name for codes in operands)
        if len({codes.scale for codes in operands}) != 1:
            raise UserError(f"{node.name}: its operands are on different scales")
        add = node.target is operator.add
        name = self._emit(Add(node.name, names, *INT32) if add else Concat(node.name, names))
        return Codes(name, operands[0].scale)

    def _pool(self, node: fx.Node, module: nn.Module | None) -> Codes:
        source = self._codes(node.all_input_nodes[0], node)
        if isinstance(module, nn.Flatten):
            if len(shape_of(node.all_input_nodes[0])) == 1:
                return source
            return replace(source, name=self._emit(Flatten(node.name, (source.name,))))
        shapes = shape_of(node.all_input_nodes[0]), shape_of(node)
        operation, divisor = lower_pool(node.name, source.name, module, *shapes)
        name = source.name if operation is None else self._emit(operation)
        return Codes(name, source.scale / divisor)

    def _quantize(self, node: fx.Node, value: Value, module: ActivationQuantization) -> Codes:
        book = module.quantizer.codebook()
        if book.scale.numel() != 1:
            raise UserError(f"{node.name}: activations need one scale per tensor, not per channel")
        steps = Steps.of(book)
        name = self._rescale(node, value, steps)
        scale = steps.scale
        if steps.thresholds is not None:
            values, scale = level_integers(book)
            cells = Threshold(f"{name}.codes", (name,), steps.thresholds, values[steps.cells])
            self._emit(cells)
            name = f"{name}.codes"
        self.of_node[node.name], self.scales[name] = name, scale
        return Codes(name, scale)

    def _rescale(self, node: fx.Node, value: Value, steps: Steps) -> str:
        if isinstance(value, Image):
            return self._emit(_normalize(node.name, value, steps))
        if isinstance(value, Pending):
            return self._emit(_weight_operation(value, steps))
        scale = dyadic(value.scale / steps.scale)
        return self._emit(Requantize(node.name, (value.name,), scale, steps.lo, steps.hi))


def integer_weights(name: str, module: nn.Conv2d | nn.Linear) -> tuple[Weights, np.ndarray]:
    """A layer's weight codes and its real scale per output channel, float64 [O].

    The levels are the codebook's integers times the largest power of two that keeps them in a byte.
    """
    quantization = weight_quantization(module)
    if quantization is None:
        raise UserError(f"{name}: its weights are float; deploy.weight_bits gives them codes")
    with torch.no_grad():
        weight = module.weight
        book = quantization.codebook(latent_weight(module))
        codes = book.quantize(weight)
        if not torch.equal(book.dequantize(codes).to(weight.dtype), weight):
            raise UserError(f"{name}: some weights are not on their codebook; finish the schedule")
    codes, scale = codes.cpu().numpy(), _numpy(book.scale)
    if scale.size != 1 and scale.shape != (len(codes), *[1] * (codes.ndim - 1)):
        raise UserError(f"{name}: weight scales of shape {scale.shape}; one per output channel")
    levels = book.integers.cpu().numpy().astype(np.int64)
    finer = 1 << max(int(np.log2(LARGEST_BYTE / np.abs(levels).max())), 0)
    kind = np.uint8 if levels.shape[-1] <= 256 else np.uint16
    spread = np.broadcast_to(scale.reshape(-1), len(codes)) / finer
    return Weights(codes.astype(kind), levels * finer, book.bits), spread


def _weight_operation(value: Pending, steps: Steps) -> Linear:
    """The layer with its requantizer: DN = factor / S_out and the integer bias."""
    ratio = value.factor / steps.scale
    ratio = np.where(np.abs(ratio) < SMALLEST_RATIO, np.copysign(SMALLEST_RATIO, ratio), ratio)
    bias = np.round(value.shift / steps.scale / ratio).astype(np.int64)
    lo = max(steps.lo, 0) if value.relu else steps.lo
    even, odd = pair(ratio) if value.weights.levels.ndim == 2 else (dyadic(ratio), None)
    common = (value.layer, (value.source.name,), value.weights, bias, even, lo, steps.hi)
    if isinstance(value.module, nn.Linear):
        return Linear(*common, odd=odd)
    conv = value.module
    return Conv(
        *common,
        odd=odd,
        stride=_pair(conv.stride),
        padding=_padding(value.layer, conv),
        dilation=_pair(conv.dilation),
        groups=conv.groups,
    )


def _normalize(name: str, image: Image, steps: Steps) -> Normalize:
    """(pixel / 255 - mean) / std in steps of S_out, per channel, from 256ths of a pixel."""
    fine = 255.0 * 2**PIXEL_SHIFT
    bias = np.round(-image.mean * fine).astype(np.int64)
    scale: Dyadic = dyadic(1 / (image.std * fine * steps.scale))
    return Normalize(name, ("input",), bias, scale, steps.lo, steps.hi)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _padding(name: str, conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UserError(f"{name}: padding {conv.padding!r}, {conv.padding_mode}; only zeros")
    return _pair(conv.padding)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().cpu().numpy()
