"""Lowering: a deployed network, read node by node, becomes an integer program.

While it is read, a node's value is one of those in `dyadic.integer.lowering.values`: codes, a
layer's accumulators that wait for the quantizer behind them, or the image.
"""

import copy
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from dyadic.errors import UserError
from dyadic.integer.lowering.cells import CodeSteps, level_integers
from dyadic.integer.lowering.moves import lower_move, unknown
from dyadic.integer.lowering.values import (
    Clamped,
    Codes,
    Image,
    Pending,
    Product,
    Table,
    Value,
    integer_weights,
    to_numpy,
)
from dyadic.integer.lowering.waiting import AFFINE, affine_of, is_function, limits
from dyadic.integer.program import operations as ops
from dyadic.integer.program.names import identifiers
from dyadic.models.normalize import NormalizePixels
from dyadic.network.activations import ActivationQuantization
from dyadic.network.layers import NOTHING, module_of, propagate_shapes, shape_of
from dyadic.network.quantized import QuantizedNetwork

LONGEST_NAME = 180


class NotLowered(UserError):
    """All that has no integer form, in one line; `problems` has them one by one."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


@dataclass(frozen=True)
class Lowered:
    """The program, and where the graph's quantizers and layers are in it.

    operations the operation that computes each quantizer's node
    layers     the operation of each layer's node, and of each affine map that became one
    scales     real value of one step of those operations' tensors, by operation
    divisors   what the sums of a pool's node are divided by
    """

    program: ops.Program
    operations: dict[str, str]
    scales: dict[str, float]
    divisors: dict[str, int]
    layers: dict[str, str]


@parametrize.cached()
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
        self.operations: dict[str, ops.Operation] = {}
        self.of_node: dict[str, str] = {}
        self.scales: dict[str, float] = {}
        self.divisors: dict[str, int] = {}
        self.layers: dict[str, str] = {}

    def program(self, name: str, note: str) -> Lowered:
        propagate_shapes(self.body, self.network.image_shape)
        logits, problems = None, []
        for node in self.body.graph.nodes:
            ready = all(source in self.values for source in node.all_input_nodes)
            try:
                if node.op == "output" and ready:
                    logits = self._codes(node.all_input_nodes[0], node)
                elif ready:
                    self.values[node] = self._value(node)
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise NotLowered(problems)
        if logits is None or next(reversed(self.operations)) != logits.name:
            raise UserError(f"{name}: the network's output is not the last operation's logits")
        operations = tuple(self.operations.values())
        shape = self.network.image_shape
        program = ops.Program(name, shape, operations, logits.scale, note)
        return Lowered(program, self.of_node, self.scales, self.divisors, self.layers)

    def _value(self, node: fx.Node) -> Value:
        if node.op == "placeholder":
            channels = self.network.image_shape[0]
            return Image(np.zeros(channels), np.full(channels, 1 / 255))
        source = self.values[node.all_input_nodes[0]]
        if node.op == "call_function":
            return self._product(node) if node.target is operator.mul else self._join(node)
        module = module_of(self.body, node)
        if isinstance(module, ActivationQuantization):
            return self._quantize(node, source, module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            return self._layer(node, module)
        if isinstance(module, AFFINE):
            return self._affine(node, source, module)
        if (ends := limits(module)) is not None:
            return self._limits(node, source, *ends)
        if module is not None and is_function(module):
            table = source if isinstance(source, Table) else Table.of(node.name, self._input(node))
            return table.map(in_float64(module))
        if isinstance(module, NormalizePixels):
            return Image(to_numpy(module.mean).flatten(), to_numpy(module.std).flatten())
        if isinstance(module, NOTHING):
            return source
        return self._move(node, module)

    def _emit(self, operation: ops.Operation) -> str:
        self.operations[operation.name] = operation
        return operation.name

    def _name(self, wanted: str) -> str:
        """A name for an operation: plain letters, and nobody else's."""
        return identifiers([wanted[:LONGEST_NAME]], ".", (*self.operations, "input"))[0]

    def _codes(self, node: fx.Node, reader: fx.Node) -> Codes:
        value = self.values[node]
        if not isinstance(value, Codes):
            raise UserError(f"{reader.target}: its input {node.name} has no integer codes")
        return value

    def _input(self, node: fx.Node) -> Codes:
        return self._codes(node.all_input_nodes[0], node)

    def _layer(self, node: fx.Node, module: nn.Conv2d | nn.Linear) -> Pending:
        source = self._input(node)
        weights, scale = integer_weights(str(node.target), module)
        shift = np.zeros(len(scale)) if module.bias is None else to_numpy(module.bias)
        return Pending(node, module, source, weights, source.scale * scale, shift)

    def _affine(self, node: fx.Node, value: Value, module: nn.Module) -> Value:
        multiplier, shift = (x.cpu().numpy() for x in affine_of(module))
        single = multiplier.size == 1
        if isinstance(value, Table) and single:
            return value.map(lambda x: x * multiplier.item() + shift.item())
        if isinstance(value, Product) and single and not shift.any():
            return replace(value, factor=value.factor * multiplier.item())
        if isinstance(value, Codes):
            if single and not shift.any() and multiplier.item() > 0:
                return replace(value, scale=value.scale * multiplier.item())
            shape = shape_of(node)
            value = Pending.affine_of(node, value, shape[0], len(shape))
        if not isinstance(value, Pending | Image) or value.limited:
            raise UserError(f"{node.target}: its input has no codes to be scaled")
        return value.affine(multiplier, shift)

    def _limits(self, node: fx.Node, value: Value, low: float, high: float) -> Value:
        if not isinstance(value, Codes):
            return value.clamp(low, high)
        if (low, high) != (0.0, np.inf):
            return Clamped(value).clamp(low, high)
        made, source = self.operations.get(value.name), node.all_input_nodes[0]
        if isinstance(made, ops.Add) and len(source.users) == 1:
            self.operations[value.name] = replace(made, lo=0)
            return value
        return replace(value, name=self._emit(ops.Relu(self._name(node.name), (value.name,))))

    def _product(self, node: fx.Node) -> Product:
        x, y = (self._codes(source, node) for source in _nodes(node.args))
        return Product(x, y, x.scale * y.scale)

    def _join(self, node: fx.Node) -> Codes:
        codes = [self._codes(source, node) for source in _nodes(node.args)]
        if len({value.scale for value in codes}) != 1:
            raise UserError(f"{node.name}: its operands are on different scales")
        name, inputs = self._name(node.name), tuple(value.name for value in codes)
        add = node.target is operator.add
        self._emit(ops.Add(name, inputs, *ops.INT32) if add else ops.Concat(name, inputs))
        return Codes(name, codes[0].scale)

    def _move(self, node: fx.Node, module: nn.Module | None) -> Codes:
        source, before = self._input(node), shape_of(node.all_input_nodes[0])
        name = self._name(node.name)
        operation, divisor = lower_move(name, source.name, module, before, shape_of(node))
        self.divisors[node.name] = divisor
        made = source.name if operation is None else self._emit(operation)
        return replace(source, name=made, scale=source.scale / divisor, **unknown(operation))

    def _quantize(self, node: fx.Node, value: Value, module: ActivationQuantization) -> Codes:
        book = module.quantizer.codebook()
        if book.scale.numel() != 1:
            raise UserError(f"{node.name}: activations need one scale per tensor, not per channel")
        if isinstance(value, Table):
            operation, scale = value.lookup(self._name(node.name), book)
            return self._made(node, operation, scale, operation.values)
        steps = CodeSteps.of(book)
        value = Clamped(value) if isinstance(value, Codes) else value
        wanted = str(value.layer.target) if isinstance(value, Pending) else node.name
        operation = value.operation(self._name(wanted), steps)
        if isinstance(value, Pending):
            self.layers[value.layer.name] = operation.name
        if steps.thresholds is None:
            return self._made(node, operation, steps.scale, np.array([steps.lo, steps.hi]))
        self._emit(operation)
        values, scale = level_integers(book)
        inputs, levels = (operation.name,), values[steps.cells]
        cells = ops.Threshold(f"{operation.name}.codes", inputs, steps.thresholds, levels)
        return self._made(node, cells, scale, levels)

    def _made(
        self, node: fx.Node, operation: ops.Operation, scale: float, values: np.ndarray
    ) -> Codes:
        name = self._emit(operation)
        self.of_node[node.name], self.scales[name] = name, scale
        return Codes(name, scale, int(values.min()), int(values.max()))


def _nodes(arguments: Any) -> Iterator[fx.Node]:
    """All nodes among arguments, in order, those that are given twice twice."""
    for argument in arguments:
        if isinstance(argument, fx.Node):
            yield argument
        elif isinstance(argument, list | tuple):
            yield from _nodes(argument)


def in_float64(module: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function of single values, computed in float64."""
    return copy.deepcopy(module).double().cpu().eval()
