"""Lowering: a deployed network, read node by node, becomes an integer program.

While it is read, a node's value is one of those in `dyadic.integer.lowering.values`: codes, a
layer's accumulators that wait for the quantizer behind them, or the image.
"""

import operator
from dataclasses import dataclass, replace

import numpy as np
from torch import fx, nn

from dyadic.errors import UserError
from dyadic.integer.lowering.cells import Steps, level_integers
from dyadic.integer.lowering.pooling import lower_pool
from dyadic.integer.lowering.values import (
    Codes,
    Image,
    Pending,
    Value,
    integer_weights,
    normalize_operation,
    to_numpy,
    weight_operation,
)
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import (
    INT32,
    Add,
    Concat,
    Flatten,
    Operation,
    Program,
    Relu,
    Requantize,
    Threshold,
)
from dyadic.models.normalize import Normalize as NormalizeModule
from dyadic.network.activations import ActivationQuantization
from dyadic.network.fold import affine
from dyadic.network.layers import module_of, propagate_shapes, shape_of
from dyadic.network.quantized import QuantizedNetwork


@dataclass(frozen=True)
class Lowered:
    """The program, and where the graph's quantizers are in it.

    operations the operation that computes each quantizer node
    scales     real value of one step of those operations' tensors, by operation
    """

    program: Program
    operations: dict[str, str]
    scales: dict[str, float]


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
            return Image(to_numpy(module.mean).flatten(), to_numpy(module.std).flatten())
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
        shift = np.zeros(len(scale)) if module.bias is None else to_numpy(module.bias)
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
            return self._emit(normalize_operation(node.name, value, steps))
        if isinstance(value, Pending):
            return self._emit(weight_operation(value, steps))
        scale = dyadic(value.scale / steps.scale)
        return self._emit(Requantize(node.name, (value.name,), scale, steps.lo, steps.hi))
