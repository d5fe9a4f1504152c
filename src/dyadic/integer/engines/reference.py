"""The reference engine: the program as it reads, in PyTorch with 64-bit integers.

Slow, plain, and what the other engines must equal to the last bit.
"""

from collections.abc import Iterator
from functools import singledispatch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyadic.integer.engines.images import batches
from dyadic.integer.program import operations as ops
from dyadic.integer.program.bounds import Accumulator, Proof, prove
from dyadic.integer.program.dyadic import requantize, requantize_pair
from dyadic.integer.program.windows import windows

INT64_MIN = -(2**63)


class ReferenceEngine:
    """Runs a program with PyTorch's int64 operations.

    Raises ProgramError for a program that cannot be proven exact
    (`dyadic.integer.program.bounds.prove`).
    """

    def __init__(self, program: ops.Program | Proof) -> None:
        self.proof = prove(program)
        self.program = self.proof.program

    def run(self, images: np.ndarray) -> np.ndarray:
        """Integer logits, int32 [N, classes], of uint8 images [N, C, H, W]."""
        logits = self.program.operations[-1].name
        parts = [tensors[logits].numpy() for tensors in self._batches(images)]
        return np.concatenate(parts).astype(np.int32)

    def trace(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every tensor by name, "input" included, int64 [N, C, H, W] or [N, F]."""
        parts = list(self._batches(images))
        return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}

    @torch.no_grad()
    def _batches(self, images: np.ndarray) -> Iterator[dict[str, Tensor]]:
        """All tensors of one batch after another."""
        for batch in batches(images, self.proof):
            tensors = {"input": torch.from_numpy(batch).long()}
            for operation in self.program.operations:
                inputs = (tensors[name] for name in operation.inputs)
                tensors[operation.name] = self.compute(operation, *inputs)
            yield tensors

    def compute(self, operation: ops.Operation, *inputs: Tensor) -> Tensor:
        """One operation on int64 tensors [N, C, H, W] or [N, F]."""
        return _apply(operation, self.proof, *inputs)


@singledispatch
def _apply(operation: ops.Operation, proof: Proof, *inputs: Tensor) -> Tensor:
    """The operation on int64 tensors [N, C, H, W] or [N, F]."""
    raise TypeError(f"{type(operation).__name__} is no operation of a program")


@_apply.register
def _(operation: ops.Normalize, proof: Proof, pixels: Tensor) -> Tensor:
    bias = torch.from_numpy(operation.bias).view(1, -1, 1, 1)
    return requantize((pixels << 8) + bias, operation.scale, operation.lo, operation.hi)


@_apply.register
def _(operation: ops.Linear, proof: Proof, x: Tensor) -> Tensor:
    planes = [torch.from_numpy(plane) for plane in operation.weights.planes]
    bound, bias = proof.accumulators[operation.name], torch.from_numpy(operation.bias)
    even, lo, hi = _accumulate(operation, bound, x, planes[0], bias), operation.lo, operation.hi
    if operation.odd is None:
        return requantize(even, operation.scale, lo, hi)
    odd = _accumulate(operation, bound, x, planes[1], None)
    return requantize_pair(even, odd, operation.scale, operation.odd, lo, hi)


def _accumulate(
    operation: ops.Linear, bound: Accumulator, x: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """The sums of products, int64, in the fastest type that holds every partial sum exactly."""
    exact = ((torch.float32, 2**24), (torch.float64, 2**53), (torch.int64, 2**63))
    dtype = next(kind for kind, limit in exact if bound.largest < limit)
    x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
    if not isinstance(operation, ops.Conv):
        return F.linear(x, weight, bias).long()
    window = (operation.stride, operation.padding, operation.dilation, operation.groups)
    return F.conv2d(x, weight, bias, *window).long()


@_apply.register
def _(operation: ops.Requantize, proof: Proof, x: Tensor) -> Tensor:
    return requantize(x, operation.scale, operation.lo, operation.hi)


@_apply.register
def _(operation: ops.Threshold, proof: Proof, x: Tensor) -> Tensor:
    cell = torch.bucketize(x.contiguous(), torch.from_numpy(operation.thresholds), right=True)
    return torch.from_numpy(operation.values)[cell]


@_apply.register
def _(operation: ops.Add, proof: Proof, x: Tensor, y: Tensor) -> Tensor:
    return (x + y).clamp(operation.lo, operation.hi)


@_apply.register
def _(operation: ops.Relu, proof: Proof, x: Tensor) -> Tensor:
    return x.clamp(min=0)


@_apply.register
def _(operation: ops.Concat, proof: Proof, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, dim=1)


@_apply.register
def _(operation: ops.MaxPool, proof: Proof, x: Tensor) -> Tensor:
    before, after = [], []
    axes = zip(
        x.shape[2:],
        proof.shapes[operation.name][1:],
        operation.kernel,
        operation.stride,
        operation.padding,
        strict=True,
    )
    for size, positions, kernel, stride, padding in axes:
        before.append(padding)
        after.append((positions - 1) * stride + kernel - padding - size)
    x = F.pad(x, (before[1], after[1], before[0], after[0]), value=INT64_MIN)
    for axis, kernel, stride in zip((2, 3), operation.kernel, operation.stride, strict=True):
        x = x.unfold(axis, kernel, stride)
    return x.amax((4, 5))


@_apply.register(ops.SumPool)
@_apply.register(ops.AdaptiveSumPool)
def _(operation: ops.SumPool | ops.AdaptiveSumPool, proof: Proof, x: Tensor) -> Tensor:
    """A window's sum is the difference of two sums from the first row (or column) on."""
    for axis, window in zip((2, 3), windows(operation, x.shape[2:]), strict=True):
        sums = torch.cat([torch.zeros_like(x.narrow(axis, 0, 1)), x.cumsum(axis)], axis)
        begin, end, factor = map(torch.from_numpy, (window.begin, window.end, window.factor))
        x = sums.index_select(axis, end) - sums.index_select(axis, begin)
        x = x * factor.view(-1, *[1] * (3 - axis))
    return x


@_apply.register
def _(operation: ops.Lookup, proof: Proof, x: Tensor) -> Tensor:
    return torch.from_numpy(operation.values)[x - operation.lo]


@_apply.register
def _(operation: ops.Multiply, proof: Proof, x: Tensor, y: Tensor) -> Tensor:
    y = y.view(*y.shape, *[1] * (x.ndim - y.ndim))
    return requantize(x * y, operation.scale, operation.lo, operation.hi)


@_apply.register
def _(operation: ops.Select, proof: Proof, x: Tensor) -> Tensor:
    channels = torch.from_numpy(operation.channels)
    kept = (channels != ops.ZEROS).long().view(-1, *[1] * (x.ndim - 2))
    return x.index_select(1, channels.clamp(min=0)) * kept


@_apply.register
def _(operation: ops.Pad, proof: Proof, x: Tensor) -> Tensor:
    return F.pad(x, operation.padding)


@_apply.register
def _(operation: ops.Repeat, proof: Proof, x: Tensor) -> Tensor:
    rows, columns = operation.times
    return x.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)


@_apply.register
def _(operation: ops.Flatten, proof: Proof, x: Tensor) -> Tensor:
    return x.flatten(1)
