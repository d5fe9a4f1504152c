"""The fake-quantized network itself, in float64, with the program's dyadic numbers.

An interpreter over the *network's* graph (not the program): convolutions run in float64 on integer
values, exact below 2^53, and every quantizer node rescales with its operation's `b / 2**c`. Since
`acc * b` can pass 2^53, the rescaling is the exact integer rule, not float64 arithmetic. What comes
out must equal the program everywhere; so this checks that lowering read the graph rightly.
"""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from dyadic.integer.lowering.cells import level_integers
from dyadic.integer.lowering.lower import Lowered, in_float64
from dyadic.integer.lowering.values import PIXEL_SHIFT, UNIT_WEIGHT
from dyadic.integer.lowering.waiting import AFFINE, CODES, forms_of, is_function, limits
from dyadic.integer.program import operations as ops
from dyadic.integer.program.dyadic import requantize, requantize_pair
from dyadic.models.normalize import NormalizePixels
from dyadic.network.activations import ActivationQuantization
from dyadic.network.layers import NOTHING
from dyadic.network.quantized import QuantizedNetwork

Accumulators = Tensor | tuple[Tensor, Tensor]  # two accumulators for weights a + b sqrt(2)


@dataclass(frozen=True)
class Real:
    """Values of a function before they are codes again, float64."""

    values: Tensor


FLOAT_BATCH = 32  # small enough for the caches, which is what float64 tensors need


@torch.no_grad()
def float_logits(
    deployed: QuantizedNetwork, lowered: Lowered, images: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Logits in steps: of the float32 network as trained, and in float64 with dyadic numbers."""
    exact = Float64Network(deployed, lowered)
    scale = lowered.program.logit_scale
    float32, float64 = [], []
    with parametrize.cached():
        for batch in images.split(FLOAT_BATCH):
            float32.append(deployed(batch).double() / scale)
            float64.append(exact.logits(batch))
    return torch.cat(float32).round().long().numpy(), torch.cat(float64).numpy()


class Float64Network(fx.Interpreter):
    """Runs a deployed network on uint8 images; integer values in float64, logits int64."""

    def __init__(self, network: QuantizedNetwork, lowered: Lowered) -> None:
        super().__init__(network.body)
        self.operations = {o.name: o for o in lowered.program.operations}
        self.lowered, self.forms = lowered, forms_of(network.body)
        self.codes: dict[str, Tensor] = {}

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Integer logits, int64 [N, classes]."""
        return self.run(images.double()).long()

    @torch.no_grad()
    def trace(self, images: Tensor) -> dict[str, Tensor]:
        """Codes behind every quantizer by operation name, int64."""
        self.codes = {}
        self.logits(images)
        return {name: value.long() for name, value in self.codes.items()}

    def run_node(self, n: fx.Node) -> Any:
        if n.op not in ("call_module", "call_function"):
            return super().run_node(n)
        arguments = self.fetch_args_kwargs_from_env(n)[0]
        if n.target is operator.add:
            return sum(arguments)
        if n.op == "call_function":  # products of codes, concatenations
            return super().run_node(n)
        value, module = arguments[0], self.fetch_attr(str(n.target))
        if isinstance(module, ActivationQuantization):
            return self._quantize(n, value, module)
        if isinstance(module, nn.Conv2d | nn.Linear):
            return self._layer(n, module, value)
        if isinstance(value, Real):
            return Real(in_float64(module)(value.values))
        if isinstance(module, (NormalizePixels, *NOTHING)):
            return value
        if is_function(module):
            return Real(in_float64(module)(value * self._scale(n)))
        if isinstance(module, AFFINE):
            return self._affine(n, value)
        if limits(module) is not None:
            codes = self.forms[n.all_input_nodes[0]] == CODES and isinstance(module, nn.ReLU)
            return module(value) if codes else value  # part of the requantizer that follows
        if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
            return torch.round(module(value) * self.lowered.divisors[n.name])
        return module(value)

    def _scale(self, n: fx.Node) -> float:
        """Real value of one of the codes that a function reads, a quantizer's behind movements."""
        source = n.all_input_nodes[0]
        while source.name not in self.lowered.operations:
            source = source.all_input_nodes[0]
        return self.lowered.scales[self.lowered.operations[source.name]]

    def _layer(self, n: fx.Node, module: nn.Conv2d | nn.Linear, x: Tensor) -> Accumulators:
        operation = self.operations[self.lowered.layers[n.name]]
        assert isinstance(operation, ops.Linear)
        planes = [torch.from_numpy(p).double() for p in operation.weights.planes]
        bias = [torch.from_numpy(operation.bias).double(), None]
        results = [
            _apply(module, x, plane, shift) for plane, shift in zip(planes, bias, strict=False)
        ]
        return results[0] if len(results) == 1 else (results[0], results[1])

    def _affine(self, n: fx.Node, value: Accumulators) -> Accumulators:
        """Joined to what waits, or to the scale of codes; otherwise a layer of its own."""
        name = self.lowered.layers.get(n.name)
        if name is None:
            return value
        operation = self.operations[name]
        assert isinstance(operation, ops.Linear)
        assert isinstance(value, Tensor)
        bias = torch.from_numpy(operation.bias).double()
        return value * UNIT_WEIGHT + bias.reshape(1, -1, *[1] * (value.ndim - 2))

    def _quantize(self, n: fx.Node, value: Any, module: ActivationQuantization) -> Tensor:
        name = self.lowered.operations[n.name]
        if isinstance(value, Real):
            book = module.quantizer.codebook()
            codes = torch.from_numpy(level_integers(book)[0])[book.quantize(value.values)]
        else:
            codes = self._requantize(self.operations[name], value)
        self.codes[name] = codes
        return codes.double()

    def _requantize(self, made: ops.Operation, value: Accumulators) -> Tensor:
        cells = made if isinstance(made, ops.Threshold) else None
        operation = self.operations[made.inputs[0]] if cells else made
        assert isinstance(operation, ops.Linear | ops.Requantize | ops.Normalize | ops.Multiply)
        ends = (operation.lo, operation.hi)
        if isinstance(value, tuple):
            assert isinstance(operation, ops.Linear)
            assert operation.odd is not None
            pair = (value[0].long(), value[1].long())
            codes = requantize_pair(*pair, operation.scale, operation.odd, *ends)
        else:
            codes = requantize(_accumulator(operation, value), operation.scale, *ends)
        if cells is None:
            return codes
        thresholds = torch.from_numpy(cells.thresholds)
        cell = torch.bucketize(codes.contiguous(), thresholds, right=True)
        return torch.from_numpy(cells.values)[cell]


def _apply(module: nn.Conv2d | nn.Linear, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's geometry with other weights."""
    if isinstance(module, nn.Linear):
        return F.linear(x, weight, bias)
    return module._conv_forward(x, weight, bias)


def _accumulator(operation: ops.Operation, value: Tensor) -> Tensor:
    if isinstance(operation, ops.Normalize):
        bias = torch.from_numpy(operation.bias).reshape(1, -1, 1, 1)
        return (value.long() << PIXEL_SHIFT) + bias
    return value.long()
