"""The fake-quantized network itself, in float64, with the program's dyadic numbers.

An interpreter over the *network's* graph (not the program): convolutions run in float64 on integer
values, exact below 2^53, and every quantizer node rescales with its operation's `b / 2**c`. Since
`acc * b` can pass 2^53, the rescaling is the exact integer rule, not float64 arithmetic. What comes
out must equal the program everywhere; so this checks that lowering read the graph rightly.
"""

import operator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from dyadic.integer.lowering.lower import Lowered
from dyadic.integer.lowering.values import PIXEL_SHIFT
from dyadic.integer.program.dyadic import requantize, requantize_pair
from dyadic.integer.program.operations import Linear, Normalize, Requantize, Threshold
from dyadic.models.normalize import Normalize as NormalizeModule
from dyadic.network.activations import ActivationQuantization
from dyadic.network.quantized import QuantizedNetwork

Value = Tensor | tuple[Tensor, Tensor]  # two accumulators for weights a + b sqrt(2)
BATCH = 32  # small enough for the caches, which is what float64 tensors need


@torch.no_grad()
def float_logits(
    deployed: QuantizedNetwork, lowered: Lowered, images: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Logits in steps: of the float32 network as trained, and in float64 with dyadic numbers."""
    exact = Float64Network(deployed, lowered)
    scale = lowered.program.logit_scale
    float32, float64 = [], []
    with parametrize.cached():
        for batch in images.split(BATCH):
            float32.append(deployed(batch).double() / scale)
            float64.append(exact.logits(batch))
    return torch.cat(float32).round().long().numpy(), torch.cat(float64).numpy()


class Float64Network(fx.Interpreter):
    """Runs a deployed network on uint8 images; integer values in float64, logits int64."""

    def __init__(self, network: QuantizedNetwork, lowered: Lowered) -> None:
        super().__init__(network.body)
        self.operations = {o.name: o for o in lowered.program.operations}
        self.lowered = lowered
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
        if n.op == "call_function" and n.target is operator.add:
            return sum(self.fetch_args_kwargs_from_env(n)[0])
        if n.op != "call_module":
            return super().run_node(n)
        value = self.fetch_args_kwargs_from_env(n)[0][0]
        module = self.fetch_attr(str(n.target))
        if isinstance(module, ActivationQuantization):
            return self._quantize(n, value)
        if isinstance(module, nn.Conv2d | nn.Linear):
            return self._layer(n, module, value)
        if isinstance(module, nn.BatchNorm2d | NormalizeModule | nn.Dropout):
            return value  # part of the requantizer that follows
        if isinstance(module, nn.ReLU) and isinstance(value, tuple):
            return value  # the requantizer's lower end
        if isinstance(module, nn.ReLU) and self._pending(n):
            return value
        return self._integer_pool(module, value)

    def _pending(self, n: fx.Node) -> bool:
        """Whether a ReLU reads accumulators, whose sign a negative batch norm could still turn."""
        source = n.all_input_nodes[0]
        module = self.fetch_attr(str(source.target)) if source.op == "call_module" else None
        return isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d)

    def _layer(self, n: fx.Node, module: nn.Conv2d | nn.Linear, x: Tensor) -> Value:
        operation = self.operations[str(n.target)]
        assert isinstance(operation, Linear)
        planes = [torch.from_numpy(p).double() for p in operation.weights.planes]
        bias = [torch.from_numpy(operation.bias).double(), None]
        results = [
            _apply(module, x, plane, shift) for plane, shift in zip(planes, bias, strict=False)
        ]
        return results[0] if len(results) == 1 else (results[0], results[1])

    def _quantize(self, n: fx.Node, value: Value) -> Tensor:
        name = self.lowered.operations[n.name]
        operation = self.operations[name]
        cells = operation if isinstance(operation, Threshold) else None
        operation = self.operations[operation.inputs[0]] if cells else operation
        assert isinstance(operation, Linear | Requantize | Normalize)
        ends = (operation.lo, operation.hi)
        if isinstance(value, tuple):
            assert isinstance(operation, Linear)
            assert operation.odd is not None
            pair = (value[0].long(), value[1].long())
            codes = requantize_pair(*pair, operation.scale, operation.odd, *ends)
        else:
            codes = requantize(_accumulator(operation, value), operation.scale, *ends)
        if cells is not None:
            thresholds = torch.from_numpy(cells.thresholds)
            cell = torch.bucketize(codes.contiguous(), thresholds, right=True)
            codes = torch.from_numpy(cells.values)[cell]
        self.codes[name] = codes
        return codes.double()

    def _integer_pool(self, module: nn.Module, x: Tensor) -> Tensor:
        if isinstance(module, nn.AvgPool2d):
            window = (module.kernel_size, module.stride, module.padding)
            return F.avg_pool2d(x, *window, divisor_override=1)
        if isinstance(module, nn.AdaptiveAvgPool2d):
            mean = module(x)
            size = (x.shape[2] // mean.shape[2]) * (x.shape[3] // mean.shape[3])
            return torch.round(mean * max(size, 1))
        return module(x)


def _apply(module: nn.Conv2d | nn.Linear, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The layer's geometry with other weights."""
    if isinstance(module, nn.Linear):
        return F.linear(x, weight, bias)
    return module._conv_forward(x, weight, bias)


def _accumulator(operation: Linear | Requantize | Normalize, value: Tensor) -> Tensor:
    if isinstance(operation, Normalize):
        bias = torch.from_numpy(operation.bias).reshape(1, -1, 1, 1)
        return (value.long() << PIXEL_SHIFT) + bias
    return value.long()
