"""The program as calls into CMSIS-NN, for Cortex-M: the same integers under single rounding.

CMSIS-NN's requantization with `CMSIS_NN_USE_SINGLE_ROUNDING` is ours bit for bit: multiplier b and
shift 31 - c. Its tensors are s8, so a tensor of ours that spans at most 8 bits is stored as x - z,
with z as the offset of every function that reads or writes it. What spans more (a residual sum, the
sum of a pooling) must be rescaled at once, in the same call. The rest is refused by name.
"""

from functools import singledispatchmethod
from math import prod

import numpy as np

from dyadic.integer.engines.compiled.cmsis.layers import Layers
from dyadic.integer.engines.compiled.cmsis.tensors import NARROW, CmsisCall
from dyadic.integer.program import operations as ops
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.dyadic import dyadic, requantize
from dyadic.integer.program.requirements import require

ONE = dyadic(1.0)


class Model(Layers):
    """Translates operations in order."""

    def __init__(self, proof: Proof) -> None:
        super().__init__(proof)
        for operation in proof.program.operations:
            self._emit(operation)
        last = proof.program.operations[-1]
        self.logits = self._tensor(last, last.name)

    def text(self) -> dict[str, str]:
        """The parts of the templates."""
        return self._text(self.logits)

    @singledispatchmethod
    def _emit(self, operation: ops.Operation) -> None:
        require(False, operation, "CMSIS-NN has no such function")

    @_emit.register
    def _(self, operation: ops.Normalize) -> None:
        pixels = (np.arange(256) << 8) + operation.bias[:, None]
        codes = requantize(pixels[None], operation.scale, operation.lo, operation.hi)
        self._pixels(operation.name, codes[0])

    @_emit.register
    def _(self, operation: ops.Conv) -> None:
        self._convolve(operation)

    @_emit.register
    def _(self, operation: ops.Linear) -> None:
        self._connect(operation)

    @_emit.register
    def _(self, operation: ops.Requantize) -> None:
        (name,) = operation.inputs
        if add := self._wide(name, ops.Add):
            assert isinstance(add, ops.Add)
            self._sum(operation, add, operation)
        elif pool := self._wide(name, ops.SumPool):
            assert isinstance(pool, ops.SumPool)
            self._average(operation, pool)
        else:
            self._sum(operation, None, operation)

    @_emit.register
    def _(self, operation: ops.Relu) -> None:
        self._sum(
            operation, None, ops.Requantize(operation.name, operation.inputs, ONE, 0, ops.INT32[1])
        )

    @_emit.register
    def _(self, operation: ops.Add) -> None:
        if self._fits(operation.name):
            self._sum(operation, operation, None)
        else:
            self._only_rescaled(operation)

    def _sum(
        self, operation: ops.Operation, add: ops.Add | None, scale: ops.Requantize | None
    ) -> None:
        """X * b + 0, or (x + y) rescaled: arm_elementwise_add_s8 has a scale for each."""
        names = [self._tensor(operation, n) for n in (add or operation).inputs]
        first, second = names[0], names[-1]
        dn, lo, hi = ONE, ops.INT32[0], ops.INT32[1]
        if add:
            lo, hi = add.lo, add.hi
        if scale:
            require(int(scale.scale.b[0]) >= 0 or not add, scale, "CMSIS-NN: a negative scale")
            dn = scale.scale
            ends = requantize(np.array([[lo], [hi]]), dn, scale.lo, scale.hi)
            lo, hi = (int(ends[0, 0]), int(ends[1, 0])) if add else (scale.lo, scale.hi)
        largest = sum(map(self._largest, names))
        b, shift = (int(part[0]) for part in self._scale(operation, dn, largest))
        one, two = ((1 << 30, 1), (1 << 30, 1)) if add else ((b, shift), (0, 0))
        out = (b, shift) if add else (1 << 30, 1)
        self.grids[operation.name] = self.grids[first]
        clamp = self._clamp(operation.name, lo, hi).strip("{}")
        text = (
            f"failed |= arm_elementwise_add_s8({self._at(first)}, {self._at(second)},\n"
            f"        {self._offset(first)}, {one[0]}, {one[1]}, "
            f"{self._offset(second)}, {two[0]}, {two[1]}, 0, {self._at(operation.name)},\n"
            f"        {-self._offset(operation.name)}, {out[0]}, {out[1]}, {clamp}, "
            f"{prod(self.grids[first])}) != 0;"
        )
        self.calls.append(CmsisCall(operation.name, text, tuple(names)))

    def _average(self, operation: ops.Requantize, pool: ops.SumPool) -> None:
        """Sums times b / 2^c: a depthwise convolution with ones, which rounds as we do."""
        channels = self.grids[self.same.get(pool.inputs[0], pool.inputs[0])][0]
        ones = np.ones((1, *pool.kernel, channels), np.int64)
        self._depthwise(operation, pool.inputs[0], pool, ones, np.zeros(channels, np.int64))

    @_emit.register
    def _(self, operation: ops.SumPool) -> None:
        plain = operation.counted == "kernel" and not operation.ceil
        require(plain, operation, "CMSIS-NN: windows that are cut off at the border")
        if self._fits(operation.name):
            itself = ops.Requantize(operation.name, (operation.name,), ONE, *ops.INT32)
            self._average(itself, operation)
        else:
            self._only_rescaled(operation)

    def _only_rescaled(self, operation: ops.Operation) -> None:
        """A tensor of more than 8 bits is made in the calls of its readers, or refused there."""
        last = self.proof.program.operations[-1]
        require(operation.name != last.name, operation, f"CMSIS-NN has logits of 8 bits; {NARROW}")

    @_emit.register
    def _(self, operation: ops.MaxPool) -> None:
        source = self._copied(operation, operation.inputs[0])
        self._grid(operation, self.grids[source][0], operation.name)
        geometry = ", ".join(f"{{{x}, {y}}}" for y, x in (operation.stride, operation.padding))
        rows, columns = operation.kernel
        text = (
            "failed |= arm_max_pool_s8(&context, &(const cmsis_nn_pool_params){"
            f"{geometry}, {{-128, 127}}}},\n"
            f"        {self._image(source)}, {self._at(source)}, "
            f"{self._dims(1, rows, columns, 1)}, {self._image(operation.name)}, "
            f"{self._at(operation.name)}) != 0;"
        )
        self.calls.append(CmsisCall(operation.name, text, (source,)))

    def _copied(self, operation: ops.Operation, name: str) -> str:
        """An input of an operation that only copies: it has the same offset."""
        source = self._tensor(operation, name)
        same = self._offset(source) == self._offset(operation.name)
        require(same, operation, f"CMSIS-NN: {name!r} is copied to places of other offsets")
        return source

    @_emit.register
    def _(self, operation: ops.Concat) -> None:
        self.grids[operation.name] = self.proof.shapes[operation.name]
        whole, rows, columns = self.grids[operation.name]
        channel = 0
        for name in operation.inputs:
            source = self._copied(operation, name)
            channels = self.grids[source][0]
            text = (
                f"arm_concatenation_s8_x({self._at(source)}, {channels}, {columns}, {rows}, 1, "
                f"{self._at(operation.name)}, {whole}, {channel});"
            )
            self.calls.append(CmsisCall(operation.name, text, (source,)))
            channel += channels

    @_emit.register
    def _(self, operation: ops.Pad) -> None:
        source = self._copied(operation, operation.inputs[0])
        left, right, top, bottom = operation.padding
        grows = min(operation.padding) >= 0
        require(grows, operation, "CMSIS-NN pads, it does not cut off")
        self.grids[operation.name] = self.proof.shapes[operation.name]
        text = (
            f"failed |= arm_pad_s8({self._at(source)}, {self._at(operation.name)}, "
            f"{-self._offset(source)}, {self._image(source)},\n"
            f"        {self._dims(0, top, left, 0)}, {self._dims(0, bottom, right, 0)}) != 0;"
        )
        self.calls.append(CmsisCall(operation.name, text, (source,)))

    @_emit.register
    def _(self, operation: ops.Multiply) -> None:
        x, y = (self._tensor(operation, name) for name in operation.inputs)
        require(self.grids[x] == self.grids[y], operation, "CMSIS-NN multiplies equal shapes only")
        largest = self._largest(x) * self._largest(y)
        b, shift = (int(part[0]) for part in self._scale(operation, operation.scale, largest))
        self.grids[operation.name] = self.grids[x]
        clamp = self._clamp(operation.name, operation.lo, operation.hi).strip("{}")
        text = (
            f"failed |= arm_elementwise_mul_s8({self._at(x)}, {self._at(y)}, {self._offset(x)}, "
            f"{self._offset(y)}, {self._at(operation.name)},\n        "
            f"{-self._offset(operation.name)}, {b}, {shift}, {clamp}, "
            f"{prod(self.grids[x])}) != 0;"
        )
        self.calls.append(CmsisCall(operation.name, text, (x, y)))

    @_emit.register
    def _(self, operation: ops.Flatten) -> None:
        (name,) = operation.inputs
        self.same[operation.name] = self.same.get(name, name)
