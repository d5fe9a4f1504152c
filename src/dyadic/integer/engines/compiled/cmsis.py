"""The program as calls into CMSIS-NN, for Cortex-M: the same integers under single rounding.

CMSIS-NN's requantization with `CMSIS_NN_USE_SINGLE_ROUNDING` is ours bit for bit: multiplier b and
shift 31 - c. Its tensors are s8, so a tensor of ours that spans at most 8 bits is stored as x - z,
with z as the offset of every function that reads or writes it. What spans more (a residual sum, the
sum of a pooling) must be rescaled at once, in the same call. The rest is refused by name.
"""

import re
from dataclasses import dataclass, field
from functools import singledispatchmethod
from math import prod
from pathlib import Path

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.compiled.export import PREFIX, TEST_IMAGES, noise, rename
from dyadic.integer.engines.compiled.layout import overlay
from dyadic.integer.engines.compiled.source import comment, declare
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import Proof, Range, prove
from dyadic.integer.program.dyadic import dyadic, requantize
from dyadic.integer.program.names import identifiers
from dyadic.integer.program.operations import (
    INT32,
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    MaxPool,
    Multiply,
    Normalize,
    Operation,
    Pad,
    Program,
    Relu,
    Requantize,
    SumPool,
)
from dyadic.integer.program.requirements import require
from dyadic.record.files import write_atomically

ONE = dyadic(1.0)
NARROW = "deploy.stream_bits=8 keeps what is between layers in 8 bits"


@dataclass
class Call:
    """A line of the model: what it reads and writes in the arena, and the size of its buffer."""

    name: str
    text: str
    reads: tuple[str, ...]
    writes: str
    declared: list[str] = field(default_factory=list)
    buffer: str = ""


def export_cmsis(program: Program | Proof, directory: Path, prefix: str = "dyadic") -> None:
    """Write a model's source and header that call CMSIS-NN, with a test and a README.

    Raises: ProgramError, naming the operation, for what CMSIS-NN cannot hold (weights beyond s8 as
    5-bit INQ's +128, planes of sqrt(2), thresholds and tables, tensors of more than 8 bits that no
    call rescales); UserError for a prefix that is no C identifier.
    """
    if not PREFIX.fullmatch(prefix):
        raise UserError(f"prefix={prefix!r}; up to 40 letters, digits and '_', a letter first")
    proof = prove(program)
    model = Model(proof)
    shape = proof.program.input_shape
    images = np.fromiter(noise(TEST_IMAGES * prod(shape)), np.uint8).reshape(-1, *shape)
    logits = ReferenceEngine(proof).run(images)
    fields = {
        "name": comment(proof.program.name),
        "channels": str(shape[0]),
        "height": str(shape[1]),
        "width": str(shape[2]),
        "classes": str(logits.shape[1]),
        "images": str(TEST_IMAGES),
        "expected": ",\n".join("    {" + ", ".join(map(str, row)) + "}" for row in logits.tolist()),
        **model.text(),
    }
    for name in ("dyadic_cmsis.h", "dyadic_cmsis.c", "README.md"):
        template = (SOURCES / "cmsis" / name).read_text("utf-8")
        text = re.sub(r"@(\w+)@", lambda found: fields[found[1]], template)
        with write_atomically(Path(directory) / rename(name, prefix)) as temporary:
            temporary.write_text(rename(text, prefix), encoding="utf-8")


class Model:
    """Translates operations in order; tensors lie NHWC in one arena of s8."""

    def __init__(self, proof: Proof) -> None:
        self.proof, self.calls = proof, list[Call]()
        operations = proof.program.operations
        names = [operation.name for operation in operations]
        plain = identifiers(names, taken=["input"])
        self.named = {"input": "input", **dict(zip(names, plain, strict=True))}
        self.operations = {operation.name: operation for operation in operations}
        self.same = {}  # flattened tensors are their inputs
        self.alike = {  # what is copied has the offset of the tensor that it goes into
            name: o.name
            for o in operations
            if isinstance(o, Concat | MaxPool | Pad)
            for name in o.inputs
        }
        self.grids: dict[str, tuple[int, ...]] = {
            "input": proof.program.input_shape
        }  # (C, H, W) of what lies in NHWC order
        for operation in operations:
            self._emit(operation)
        self.logits = self._tensor(operations[-1], names[-1])

    def text(self) -> dict[str, str]:
        """The parts of the templates."""
        sizes: dict[str, int] = {}
        lives: dict[str, tuple[int, int]] = {}
        for index, call in enumerate(self.calls):
            sizes[call.writes] = prod(self.grids[call.writes])
            for name in (*call.reads, call.writes):
                lives[name] = (lives.get(name, (index, index))[0], index)
        lives[self.logits] = (lives[self.logits][0], len(self.calls))
        offsets, arena = overlay(sizes, lives)
        places = {self._at(name): f"arena + {offset}" for name, offset in offsets.items()}
        lines = []
        for call in self.calls:
            text = re.sub(r"@[^@]+@", lambda found: places[found[0]], call.text)
            lines.append(f"    /* {comment(call.name)} */\n    {text}\n")
        channels, *size = self.grids[self.logits]
        wanted = [call.buffer for call in self.calls if call.buffer]
        return {
            "arena": str(arena),
            "declared": "".join(line for call in self.calls for line in call.declared),
            "calls": "".join(lines),
            "buffers": "".join(f"    size = larger(size, {buffer});\n" for buffer in wanted),
            "logits": places[self._at(self.logits)],
            "outputs": str(channels),
            "positions": str(prod(size)),
            "offset": str(self._offset(self.logits)),
        }

    # ---- tensors --------------------------------------------------------------------------

    def _at(self, name: str) -> str:
        """Stands for a tensor's place until the arena is planned."""
        return f"@{self.named[name]}@"

    def _range(self, name: str) -> Range:
        """All values that are stored with the tensor's offset."""
        while name in self.alike:
            name = self.alike[name]
        return self.proof.ranges[name]

    def _fits(self, name: str) -> bool:
        lo, hi = self._range(name)
        return hi - lo <= 255 and lo >= -255 and hi <= 255

    def _offset(self, name: str) -> int:
        """z: the tensor is stored as x - z."""
        lo, hi = self._range(name)
        return max(0, hi - 127) or min(0, lo + 128)

    def _tensor(self, reader: Operation, name: str) -> str:
        """The tensor in the arena, made of pixels if need be; refused where it is none of s8."""
        name = self.same.get(name, name)
        lo, hi = self._range(name)
        message = f"CMSIS-NN: {name!r}, {lo} to {hi}, does not fit 8 bits; {NARROW}"
        require(self._fits(name), reader, message)
        if name == "input" and not any(call.writes == name for call in self.calls):
            self._pixels("input", np.broadcast_to(np.arange(256), (self.grids["input"][0], 256)))
        return name

    def _wide(self, name: str, kind: type[Operation]) -> Operation | None:
        """The operation behind a tensor that only a rescaling may read."""
        found = self.operations.get(self.same.get(name, name))
        return found if isinstance(found, kind) and not self._fits(found.name) else None

    def _clamp(self, name: str, lo: int, hi: int) -> str:
        z = self._offset(name)
        return f"{{{max(lo - z, -128)}, {min(hi - z, 127)}}}"

    def _dims(self, n: int, h: int, w: int, c: int) -> str:
        return f"&(const cmsis_nn_dims){{{n}, {h}, {w}, {c}}}"

    def _image(self, name: str) -> str:
        channels, rows, columns = self.grids[name]
        return self._dims(1, rows, columns, channels)

    # ---- numbers --------------------------------------------------------------------------

    def _scale(
        self, operation: Operation, scale: Dyadic, largest: int, channels: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Multipliers b and shifts 31 - c; refused where CMSIS-NN's 32 bits would not hold."""
        b, c = (np.broadcast_to(part, channels).copy() for part in (scale.b, scale.c))
        c[b == 0] = 31
        require(bool((c >= 1).all()), operation, "CMSIS-NN: a scale of c = 0")
        for factor, shift in zip(b.tolist(), c.tolist(), strict=True):
            result = (largest * abs(factor) + (1 << shift - 1) >> shift) + 256
            left = largest << max(0, 32 - shift)  # what Helium shifts before it multiplies
            fits = max(result, left) <= INT32[1]
            require(fits, operation, "CMSIS-NN: a rescaled value before its clamp leaves 32 bits")
        return b, 31 - c

    def _largest(self, name: str) -> int:
        return max(map(abs, self.proof.ranges[name]))

    def _quantization(
        self, call: Call, operation: Operation, scale: Dyadic, largest: int, channels: int
    ) -> tuple[str, str]:
        b, shift = self._scale(operation, scale, largest, channels)
        here = self.named[operation.name]
        return (
            declare(f"dyadic_multiplier_{here}", b.astype(np.int32), call.declared),
            declare(f"dyadic_shift_{here}", shift.astype(np.int32), call.declared),
        )

    # ---- operations -----------------------------------------------------------------------

    @singledispatchmethod
    def _emit(self, operation: Operation) -> None:
        require(False, operation, "CMSIS-NN has no such function")

    def _pixels(self, name: str, tables: np.ndarray) -> None:
        """The image, [channel][row][column], through a table a channel."""
        shape = self.grids["input"]
        call = Call(name, "", (), name)
        here = self.named[name]
        values = (tables - self._offset(name)).astype(np.int8)
        table = declare(f"dyadic_table_{here}", values, call.declared)
        call.text = f"pixels(image, {table}, {shape[0]}, {shape[1] * shape[2]}, {self._at(name)});"
        self.grids[name] = shape
        self.calls.append(call)

    @_emit.register
    def _(self, operation: Normalize) -> None:
        pixels = (np.arange(256) << 8) + operation.bias[:, None]
        codes = requantize(pixels[None], operation.scale, operation.lo, operation.hi)
        self._pixels(operation.name, codes[0])

    @_emit.register
    def _(self, operation: Conv) -> None:
        outputs, per_group, *kernel = operation.weights.codes.shape
        weights = self._weights(operation)
        if per_group == 1 and operation.groups > 1:
            filters = weights.transpose(1, 2, 3, 0)
            self._depthwise(operation, operation.inputs[0], operation, filters, operation.bias)
            return
        call, source = self._layer(operation)
        here = self.named[operation.name]
        filters = declare(
            f"dyadic_weights_{here}", weights.transpose(0, 2, 3, 1).astype(np.int8), call.declared
        )
        params = self._params(call, "conv", operation, source, operation, "")
        dims = self._dims(outputs, kernel[0], kernel[1], per_group)
        self._finish(call, "convolve", params, dims, filters, operation.bias, operation)

    def _depthwise(
        self, layer: Requantize | Conv, source: str, window: Conv | SumPool, filters: np.ndarray,
        bias: np.ndarray,
    ) -> None:  # fmt: skip
        """One filter for each output channel, [1, rows, columns, channels]."""
        source = self._tensor(layer, source)
        call = Call(layer.name, "", (source,), layer.name)
        here = self.named[layer.name]
        codes = declare(f"dyadic_weights_{here}", filters.astype(np.int8), call.declared)
        multiple = filters.shape[-1] // self.grids[source][0]
        params = self._params(call, "dw_conv", layer, source, window, f"{multiple}, ")
        self._grid(layer, filters.shape[-1], window.name)
        self._finish(call, "depthwise_conv", params, self._dims(*filters.shape), codes, bias, layer)

    def _grid(self, layer: Operation, channels: int, window: str) -> None:
        _, rows, columns = self.proof.shapes[window]
        self.grids[layer.name] = (channels, rows, columns)

    def _weights(self, operation: Linear) -> np.ndarray:
        require(operation.odd is None, operation, "CMSIS-NN has no planes of sqrt(2)")
        (weights,) = operation.weights.planes
        lo, hi = int(weights.min()), int(weights.max())
        inside = lo >= -128 and hi <= 127
        require(inside, operation, f"CMSIS-NN: weights {lo} to {hi}; s8 holds -128 to 127")
        bits = self.proof.accumulators[operation.name].bits
        require(bits <= 32, operation, f"CMSIS-NN: an accumulator of {bits} bits; it has 32")
        return weights

    def _layer(self, operation: Linear) -> tuple[Call, str]:
        source = self._tensor(operation, operation.inputs[0])
        shape = self.proof.shapes[operation.name]
        self.grids[operation.name] = shape if len(shape) == 3 else (shape[0], 1, 1)
        return Call(operation.name, "", (source,), operation.name), source

    def _params(
        self, call: Call, kind: str, layer: Linear | Requantize, source: str,
        window: Conv | SumPool, multiple: str,
    ) -> str:  # fmt: skip
        """A static structure of offsets, window and clamp."""
        name = f"dyadic_params_{self.named[layer.name]}"
        pairs = [window.stride, window.padding]
        pairs.append(window.dilation if isinstance(window, Conv) else (1, 1))
        geometry = ", ".join(f"{{{x}, {y}}}" for y, x in pairs)
        offsets = f"{self._offset(source)}, {-self._offset(layer.name)}"
        clamp = self._clamp(layer.name, layer.lo, layer.hi)
        call.declared.append(
            f"static const cmsis_nn_{kind}_params {name} =\n"
            f"    {{{offsets}, {multiple}{geometry}, {clamp}}};\n"
        )
        return f"&{name}"

    def _finish(
        self, call: Call, function: str, params: str, dims: str, filters: str, bias: np.ndarray,
        layer: Linear | Requantize,
    ) -> None:  # fmt: skip
        """The call itself, with its scale, bias and the size of its buffer."""
        (source,) = call.reads
        channels = self.grids[layer.name][0]
        bound = self.proof.accumulators.get(layer.name)
        largest = self._largest(layer.inputs[0]) if bound is None else bound.largest
        b, shift = self._quantization(call, layer, layer.scale, largest, channels)
        bias_name = f"dyadic_bias_{self.named[layer.name]}"
        declare(bias_name, bias.astype(np.int32), call.declared)
        image, output = self._image(source), self._image(layer.name)
        function = f"arm_{function}_wrapper_s8"
        call.text = (
            f"failed |= {function}(&context, {params}, &(const cmsis_nn_per_channel_quant_params)"
            f"{{(int32_t *){b}, (int32_t *){shift}}},\n"
            f"        {image}, {self._at(source)}, {dims}, {filters},\n"
            f"        {self._dims(1, 1, 1, channels)}, {bias_name}, {output}, "
            f"{self._at(layer.name)}) != 0;"
        )
        call.buffer = f"{function}_get_buffer_size({params}, {image}, {dims}, {output})"
        self.calls.append(call)

    @_emit.register
    def _(self, operation: Linear) -> None:
        weights = self._weights(operation)
        call, source = self._layer(operation)
        grid, here = self.grids[source], self.named[operation.name]
        ordered = weights.reshape(len(weights), *grid).transpose(0, 2, 3, 1)
        filters = declare(f"dyadic_weights_{here}", ordered.astype(np.int8), call.declared)
        bias = declare(f"dyadic_bias_{here}", operation.bias.astype(np.int32), call.declared)
        largest = self.proof.accumulators[operation.name].largest
        channels = len(weights)
        b, shift = self._quantization(call, operation, operation.scale, largest, channels)
        clamp = self._clamp(operation.name, operation.lo, operation.hi)
        offsets = f"{self._offset(source)}, 0, {-self._offset(operation.name)}"
        dims = self._dims(prod(grid), 1, 1, channels)
        call.text = (
            f"failed |= connect(&context, &(const cmsis_nn_fc_params){{{offsets}, {clamp}}},\n"
            f"        &(const cmsis_nn_quant_params){{(int32_t *){b}, (int32_t *){shift}, 1}},\n"
            f"        {dims}, {self._at(source)}, {filters}, {bias}, {self._at(operation.name)});"
        )
        call.buffer = f"arm_fully_connected_s8_get_buffer_size({dims})"
        self.calls.append(call)

    @_emit.register
    def _(self, operation: Requantize) -> None:
        (name,) = operation.inputs
        if add := self._wide(name, Add):
            assert isinstance(add, Add)
            self._sum(operation, add, operation)
        elif pool := self._wide(name, SumPool):
            assert isinstance(pool, SumPool)
            self._average(operation, pool)
        else:
            self._sum(operation, None, operation)

    @_emit.register
    def _(self, operation: Relu) -> None:
        self._sum(operation, None, Requantize(operation.name, operation.inputs, ONE, 0, INT32[1]))

    @_emit.register
    def _(self, operation: Add) -> None:
        if self._fits(operation.name):
            self._sum(operation, operation, None)
        else:
            self._only_rescaled(operation)

    def _sum(self, operation: Operation, add: Add | None, scale: Requantize | None) -> None:
        """X * b + 0, or (x + y) rescaled: arm_elementwise_add_s8 has a scale for each."""
        names = [self._tensor(operation, n) for n in (add or operation).inputs]
        first, second = names[0], names[-1]
        dn, lo, hi = ONE, INT32[0], INT32[1]
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
        self.calls.append(Call(operation.name, text, tuple(names), operation.name))

    def _average(self, operation: Requantize, pool: SumPool) -> None:
        """Sums times b / 2^c: a depthwise convolution with ones, which rounds as we do."""
        channels = self.grids[self.same.get(pool.inputs[0], pool.inputs[0])][0]
        ones = np.ones((1, *pool.kernel, channels), np.int64)
        self._depthwise(operation, pool.inputs[0], pool, ones, np.zeros(channels, np.int64))

    @_emit.register
    def _(self, operation: SumPool) -> None:
        plain = operation.counted == "kernel" and not operation.ceil
        require(plain, operation, "CMSIS-NN: windows that are cut off at the border")
        if self._fits(operation.name):
            itself = Requantize(operation.name, (operation.name,), ONE, *INT32)
            self._average(itself, operation)
        else:
            self._only_rescaled(operation)

    def _only_rescaled(self, operation: Operation) -> None:
        """A tensor of more than 8 bits is made in the calls of its readers, or refused there."""
        last = self.proof.program.operations[-1]
        require(operation.name != last.name, operation, f"CMSIS-NN has logits of 8 bits; {NARROW}")

    @_emit.register
    def _(self, operation: MaxPool) -> None:
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
        self.calls.append(Call(operation.name, text, (source,), operation.name))

    def _copied(self, operation: Operation, name: str) -> str:
        """An input of an operation that only copies: it has the same offset."""
        source = self._tensor(operation, name)
        same = self._offset(source) == self._offset(operation.name)
        require(same, operation, f"CMSIS-NN: {name!r} is copied to places of other offsets")
        return source

    @_emit.register
    def _(self, operation: Concat) -> None:
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
            self.calls.append(Call(operation.name, text, (source,), operation.name))
            channel += channels

    @_emit.register
    def _(self, operation: Pad) -> None:
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
        self.calls.append(Call(operation.name, text, (source,), operation.name))

    @_emit.register
    def _(self, operation: Multiply) -> None:
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
        self.calls.append(Call(operation.name, text, (x, y), operation.name))

    @_emit.register
    def _(self, operation: Flatten) -> None:
        (name,) = operation.inputs
        self.same[operation.name] = self.same.get(name, name)
