"""An integer program with its sums accumulated in the log domain: approximate, for comparison.

Where a layer has power-of-two weights and reads power-of-two codes (LogQuant's Method 2), its sums
are `experiments.log_sums.arithmetic`'s; every other operation is the program's own. It is no
engine of the check: its logits are not the program's.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from experiments.log_sums.arithmetic import approximate_product
from torch import Tensor

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import requantize
from dyadic.integer.program.operations import (
    Concat,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Operation,
    Program,
    Relu,
    Repeat,
    Threshold,
)

KEEPING = (Concat, Flatten, MaxPool, Relu, Repeat)  # values of the inputs, and zero


@dataclass
class SumError:
    """How far a layer's approximate sums a are from the exact ones e of the same inputs.

    terms  products of one sum
    """

    terms: int
    difference: float = 0.0  # sum of |a - e|
    magnitude: float = 0.0  # sum of |e|
    product: float = 0.0  # sum of a e
    square: float = 0.0  # sum of e^2

    def add(self, approximate: Tensor, exact: Tensor) -> None:
        """Take in the sums of one batch, float64."""
        self.difference += float((approximate - exact).abs().sum())
        self.magnitude += float(exact.abs().sum())
        self.product += float((approximate * exact).sum())
        self.square += float(exact.square().sum())

    @property
    def relative(self) -> float:
        """Mean |a - e| / mean |e|, 0 where every sum is zero."""
        return self.difference / self.magnitude if self.magnitude else 0.0

    @property
    def gain(self) -> float:
        """The slope of a over e, sum a e / sum e^2: 1, or less where a shrinks."""
        return self.product / self.square if self.square else 1.0


class LogDomainEngine(ReferenceEngine):
    """Runs a program, power-of-two layers with log-domain sums, with or without the floor.

    errors  of these layers by name, in execution order, over all images that were run
    """

    name = "log domain"

    def __init__(self, program: Program, floor: bool = True) -> None:
        super().__init__(program)
        self.floor = floor
        layers = (o for o in program.operations if isinstance(o, Linear))
        logarithmic = power_of_two_tensors(program)
        self.errors = {
            layer.name: SumError(layer.weights.codes[0].size)
            for layer in layers
            if layer.inputs[0] in logarithmic and _powers_of_two(layer.weights.levels)
        }

    def compute(self, operation: Operation, *inputs: Tensor) -> Tensor:
        """One operation on int64 tensors; a power-of-two layer in the log domain."""
        if not isinstance(operation, Linear) or operation.name not in self.errors:
            return super().compute(operation, *inputs)
        sums = self._sums(operation, _columns(operation, inputs[0].double()))
        bound = self.proof.accumulators[operation.name]
        # A register of the proven width: what an approximation overshoots it by is cut.
        low, high = (torch.from_numpy(end[0])[:, None] for end in (bound.lo, bound.hi))
        sums = (sums.round().long() + torch.from_numpy(operation.bias)[:, None]).clamp(low, high)
        shape = self.proof.shapes[operation.name]
        acc = sums.reshape(len(sums), len(inputs[0]), *shape[1:]).transpose(0, 1).contiguous()
        return requantize(acc, operation.scale, operation.lo, operation.hi)

    def _sums(self, layer: Linear, columns: Tensor) -> Tensor:
        """Approximate sums [O, P] of columns [K of every group, P]; their errors are noted."""
        weight = torch.from_numpy(layer.weights.planes[0]).double().flatten(1)
        groups = layer.groups if isinstance(layer, Conv) else 1
        sums = []
        for w, x in zip(weight.chunk(groups), columns.chunk(groups), strict=True):
            approximate, exact = approximate_product(w, x, self.floor), w @ x
            self.errors[layer.name].add(approximate, exact)
            sums.append(approximate)
        return torch.cat(sums)


def _columns(layer: Linear, x: Tensor) -> Tensor:
    """What each output position of a layer sums over: [C * kh * kw, N * positions], or [F, N]."""
    if not isinstance(layer, Conv):
        return x.T
    kernel = layer.weights.codes.shape[2:]
    patches = F.unfold(x, kernel, layer.dilation, layer.padding, layer.stride)
    return patches.transpose(0, 1).flatten(1)


def power_of_two_tensors(program: Program) -> set[str]:
    """The tensors of a program that hold zero and powers of two alone: codes of log activations."""
    found: set[str] = set()
    for operation in program.operations:
        kept = isinstance(operation, KEEPING) and found.issuperset(operation.inputs)
        codes = isinstance(operation, Threshold) and _powers_of_two(operation.values)
        if kept or codes:
            found.add(operation.name)
    return found


def _powers_of_two(values: np.ndarray) -> bool:
    magnitudes = np.abs(values)
    return values.ndim == 1 and not bool((magnitudes & (magnitudes - 1)).any())
