"""Tensors of s8 in one arena, the calls that make them, and what holds of their numbers."""

import re
from dataclasses import dataclass, field
from math import prod

import numpy as np

from dyadic.integer.engines.compiled.layout import overlay
from dyadic.integer.engines.compiled.text import comment, declare
from dyadic.integer.program.bounds import Proof, Range
from dyadic.integer.program.names import identifiers
from dyadic.integer.program.operations import (
    INT32,
    Concat,
    Dyadic,
    MaxPool,
    Operation,
    Pad,
)
from dyadic.integer.program.requirements import require

NARROW = "stream_bits=8 of the deployment keeps what is between layers in 8 bits"


@dataclass
class CmsisCall:
    """A line of the model, which makes the tensor `name`: what it reads, the size of its buffer."""

    name: str
    text: str
    reads: tuple[str, ...]
    declared: list[str] = field(default_factory=list)
    buffer: str = ""


class Tensors:
    """Tensors by name, NHWC in one arena of s8, and the calls so far."""

    def __init__(self, proof: Proof) -> None:
        self.proof, self.calls = proof, list[CmsisCall]()
        operations = proof.program.operations
        names = [operation.name for operation in operations]
        plain = identifiers(names, taken=["input"])
        self.named = {"input": "input", **dict(zip(names, plain, strict=True))}
        self.operations = {operation.name: operation for operation in operations}
        self.same = {}  # flattened tensors are their inputs
        self.stored_as = {  # what is copied has the offset of the tensor that it goes into
            name: o.name
            for o in operations
            if isinstance(o, Concat | MaxPool | Pad)
            for name in o.inputs
        }
        self.grids: dict[str, tuple[int, ...]] = {
            "input": proof.program.input_shape
        }  # (C, H, W) of what lies in NHWC order

    def _text(self, logits: str) -> dict[str, str]:
        """The parts of the templates."""
        sizes: dict[str, int] = {}
        lives: dict[str, tuple[int, int]] = {}
        for index, call in enumerate(self.calls):
            sizes[call.name] = prod(self.grids[call.name])
            for name in (*call.reads, call.name):
                lives[name] = (lives.get(name, (index, index))[0], index)
        lives[logits] = (lives[logits][0], len(self.calls))
        offsets, arena = overlay(sizes, lives)
        places = {self._at(name): f"arena + {offset}" for name, offset in offsets.items()}
        lines = []
        for call in self.calls:
            text = re.sub(r"@[^@]+@", lambda found: places[found[0]], call.text)
            lines.append(f"    /* {comment(call.name)} */\n    {text}\n")
        channels, *size = self.grids[logits]
        wanted = [call.buffer for call in self.calls if call.buffer]
        return {
            "arena": str(arena),
            "declared": "".join(line for call in self.calls for line in call.declared),
            "calls": "".join(lines),
            "buffers": "".join(f"    size = larger(size, {buffer});\n" for buffer in wanted),
            "logits": places[self._at(logits)],
            "outputs": str(channels),
            "positions": str(prod(size)),
            "offset": str(self._offset(logits)),
        }

    def _pixels(self, name: str, tables: np.ndarray) -> None:
        """The image, [channel][row][column], through a table a channel."""
        shape = self.grids["input"]
        call = CmsisCall(name, "", ())
        here = self.named[name]
        values = (tables - self._offset(name)).astype(np.int8)
        table = declare(f"dyadic_table_{here}", values, call.declared)
        call.text = f"pixels(image, {table}, {shape[0]}, {shape[1] * shape[2]}, {self._at(name)});"
        self.grids[name] = shape
        self.calls.append(call)

    def _at(self, name: str) -> str:
        """Stands for a tensor's place until the arena is planned."""
        return f"@{self.named[name]}@"

    def _range(self, name: str) -> Range:
        """All values that are stored with the tensor's offset."""
        while name in self.stored_as:
            name = self.stored_as[name]
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
        if name == "input" and not any(call.name == name for call in self.calls):
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
        self, call: CmsisCall, operation: Operation, scale: Dyadic, largest: int, channels: int
    ) -> tuple[str, str]:
        b, shift = self._scale(operation, scale, largest, channels)
        here = self.named[operation.name]
        return (
            declare(f"dyadic_multiplier_{here}", b.astype(np.int32), call.declared),
            declare(f"dyadic_shift_{here}", shift.astype(np.int32), call.declared),
        )
