"""Operations as the C engine's steps: numbers, slots and pointers to arrays that stay alive."""

from collections.abc import Sequence
from ctypes import Structure
from functools import singledispatchmethod
from math import prod

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.choose import BLOCK, Choice
from dyadic.integer.engines.compiled.fusion import Group
from dyadic.integer.engines.compiled.gemm import pack
from dyadic.integer.engines.compiled.lanes import Lanes, spread
from dyadic.integer.engines.compiled.layout import LINE, Layout, Slot
from dyadic.integer.engines.compiled.rows import rows
from dyadic.integer.engines.compiled.sets import SETS, InstructionSet
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.operations import (
    AdaptiveSumPool,
    Add,
    Concat,
    Conv,
    Dyadic,
    Flatten,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Normalize,
    Operation,
    Pad,
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
)
from dyadic.integer.program.windows import windows


class Steps:
    """Translates groups into `dy_step`s; owns every array that a step points to.

    choices  layers that are matrix products; all others are `dy_convolve`s
    path     the instructions that there are
    shifts   whether a `dy_convolve` turns powers of two into shifts
    """

    def __init__(
        self,
        layout: Layout,
        proof: Proof,
        choices: dict[str, Choice],
        path: InstructionSet = SETS["portable"],
        shifts: bool = False,
    ) -> None:
        self.layout, self.proof, self.choices = layout, proof, choices
        self.path, self.shifts = path, shifts
        self.index = {name: i for i, name in enumerate(layout.slots)}
        self.arrays: list[np.ndarray] = []
        self.steps: list[Structure] = []
        self.scratch = 0

    def build(self, groups: Sequence[Group]) -> list[Structure]:
        """The steps of all groups, in order."""
        if "input" in self.index:
            self._append("pixels", None, "input")
        for group in groups:
            if isinstance(group.operation, Linear) and group.operation.name in self.choices:
                self._gemm(group, group.operation)
            else:
                self._step(group.operation)
        return self.steps

    def slots(self) -> list[Structure]:
        """`dy_slot`s in the order of `index`."""
        return [self._slot(slot) for slot in self.layout.slots.values()]

    def _slot(self, slot: Slot) -> Structure:
        kind = binding.TYPES[slot.dtype]
        view = binding.Tensor(None, kind, *slot.shape, slot.stride, slot.pitch)
        place = (slot.offset, slot.size, slot.origin)
        return binding.Slot(view, *place, *slot.border, self.index[slot.root])

    def _append(self, kind: str, source: str | None, target: str) -> Structure:
        step = binding.Step(kind=binding.STEPS.index(kind), other=binding.NONE)
        step.source = binding.NONE if source is None else self.index[source]
        step.target = self.index[target]
        self.steps.append(step)
        return step

    def _keep(self, array: np.ndarray, dtype: str) -> int:
        """The address of a copy that lives as long as this object, at the begin of a line."""
        whole = np.ascontiguousarray(array, dtype=dtype)
        memory = np.empty(whole.nbytes + LINE, np.uint8)
        begin = -memory.ctypes.data % LINE
        kept = memory[begin : begin + whole.nbytes].view(whole.dtype).reshape(whole.shape)
        kept[...] = whole
        self.arrays.append(kept)
        return kept.ctypes.data

    def _scale(self, scale: Dyadic, lo: int, hi: int) -> Structure:
        b, c = self._keep(scale.b, "int32"), self._keep(scale.c, "uint8")
        return binding.Scale(b, c, len(scale.b) > 1, lo, hi)

    @singledispatchmethod
    def _step(self, operation: Operation) -> None:
        raise TypeError(f"{type(operation).__name__} is no operation of a program")

    @_step.register
    def _(self, operation: Normalize) -> None:
        step = self._append("normalize", None, operation.name)
        step.bias = self._keep(operation.bias, "int32")
        step.scale = self._scale(operation.scale, operation.lo, operation.hi)

    @_step.register
    def _(self, operation: Linear) -> None:
        step = self._append("convolve", operation.inputs[0], operation.name)
        step.conv = self._conv(operation)
        window = step.conv.window
        depth = window.height * window.width * step.conv.group_in
        self.scratch = max(self.scratch, depth * binding.C["DY_PIXELS"] * 4)

    def _conv(self, operation: Linear) -> Structure:
        bound, source = self.proof.accumulators[operation.name], operation.inputs[0]
        packed = rows(operation, bound, self.layout.slots[source].dtype, self.shifts)
        groups = operation.groups if isinstance(operation, Conv) else 1
        outputs, group_in = operation.weights.codes.shape[:2]
        planes = [self._keep(plane, plane.dtype.str) for plane in packed.planes]
        return binding.Conv(
            window=layer_window(operation),
            groups=groups,
            group_in=group_in,
            group_out=outputs // groups,
            form=binding.FORMS.index(packed.form),
            wide=packed.wide,
            weights=planes[0],
            odd=planes[1] if operation.odd else None,
            bias=self._keep(operation.bias, "int64" if packed.wide else "int32"),
            odd_b=self._keep(operation.odd.b, "int32") if operation.odd else None,
            scale=self._scale(operation.scale, operation.lo, operation.hi),
        )

    @_step.register
    def _(self, operation: Requantize) -> None:
        step = self._append("requantize", operation.inputs[0], operation.name)
        step.scale = self._scale(operation.scale, operation.lo, operation.hi)
        if self.path.dots:
            largest = max(map(abs, self.proof.ranges[operation.inputs[0]]))
            lanes = Lanes.of(operation, BLOCK, largest)
            step.gemm.lanes, step.vector = self._lanes(lanes), lanes.high

    @_step.register
    def _(self, operation: Threshold) -> None:
        step = self._append("threshold", operation.inputs[0], operation.name)
        step.count = len(operation.thresholds)
        step.thresholds = self._keep(operation.thresholds, "int32")
        step.values = self._keep(operation.values, "int32")

    @_step.register
    def _(self, operation: Add) -> None:
        step = self._append("add", operation.inputs[0], operation.name)
        step.other = self.index[operation.inputs[1]]
        step.lo, step.hi = operation.lo, operation.hi

    @_step.register
    def _(self, operation: Relu) -> None:
        self._append("relu", operation.inputs[0], operation.name)

    @_step.register
    def _(self, operation: Concat) -> None:
        whole = self.layout.slots[operation.name]
        channel = whole.channel
        for name in operation.inputs:
            slot = self.layout.slots[name]
            if (slot.root, slot.channel) != (whole.root, channel):
                self._copy_into(operation.name, name, channel)
            channel += slot.shape[0]

    def _copy_into(self, whole: str, name: str, channel: int) -> None:
        """Copies a tensor into the channels of `whole` that begin at the root's `channel`."""
        into, part = self.layout.slots[whole], self.layout.slots[name]
        key = f"{whole}\n{channel}"  # no operation has such a name
        slice_ = Slot(
            part.shape, into.dtype, into.root, channel, into.stride, into.border, into.offset,
            into.size,
        )  # fmt: skip
        self.index[key] = len(self.index)
        self.layout.slots[key] = slice_
        self._append("copy", name, key)

    @_step.register
    def _(self, operation: MaxPool) -> None:
        self._pool("max_pool", operation)

    @_step.register
    def _(self, operation: SumPool) -> None:
        if operation.counted == "kernel":
            self._pool("sum_pool", operation)
        else:
            self._spans(operation)

    def _pool(self, kind: str, operation: MaxPool | SumPool) -> None:
        step = self._append(kind, operation.inputs[0], operation.name)
        types = {self.layout.slots[name].dtype for name in (operation.inputs[0], operation.name)}
        step.vector = kind == "max_pool" and len(types) == 1 and types != {"int32"}
        window = (*operation.kernel, *operation.stride, *operation.padding)
        step.window = binding.Window(*window, 1, 1)

    @_step.register
    def _(self, operation: AdaptiveSumPool) -> None:
        self._spans(operation)

    def _spans(self, operation: SumPool | AdaptiveSumPool) -> None:
        step = self._append("sum_spans", operation.inputs[0], operation.name)
        size = self.proof.shapes[operation.inputs[0]][1:]
        step.rows, step.columns = (
            self._keep(np.stack([window.begin, window.end, window.factor], axis=1), "int32")
            for window in windows(operation, size)
        )

    @_step.register
    def _(self, operation: Lookup) -> None:
        step = self._append("lookup", operation.inputs[0], operation.name)
        step.lo, step.values = operation.lo, self._keep(operation.values, "int32")

    @_step.register
    def _(self, operation: Multiply) -> None:
        step = self._append("multiply", operation.inputs[0], operation.name)
        step.other = self.index[operation.inputs[1]]
        step.scale = self._scale(operation.scale, operation.lo, operation.hi)

    @_step.register
    def _(self, operation: Select) -> None:
        step = self._append("select", operation.inputs[0], operation.name)
        step.channels = self._keep(operation.channels, "int32")

    @_step.register
    def _(self, operation: Pad) -> None:
        step = self._append("pad", operation.inputs[0], operation.name)
        step.window.pad_x, step.window.pad_y = operation.padding[0], operation.padding[2]

    @_step.register
    def _(self, operation: Repeat) -> None:
        step = self._append("repeat", operation.inputs[0], operation.name)
        step.times_y, step.times_x = operation.times

    @_step.register
    def _(self, operation: Flatten) -> None:
        if prod(self.proof.shapes[operation.inputs[0]][1:]) > 1:
            self._append("flatten", operation.inputs[0], operation.name)

    def _gemm(self, group: Group, operation: Linear) -> None:
        """A layer as a matrix product, with all that its group does in the same pass."""
        step = self._append("gemm", operation.inputs[0], group.outputs[0])
        step.window = layer_window(operation)
        step.gemm = self._product(operation, group.outputs[0])
        step.gemm.add = self.index[group.residual] if group.add else binding.NONE
        if group.add:
            step.gemm.lo, step.gemm.hi = group.add.lo, group.add.hi
        outputs = [binding.Output(self.index[name]) for name in group.outputs]
        for output, rescaling in zip(outputs[group.stored :], group.requantize, strict=True):
            largest = max(map(abs, self.proof.ranges[group.made]))
            output.lanes = self._lanes(Lanes.of(rescaling, BLOCK, largest))
        for place, output in enumerate(outputs):
            step.gemm.outputs[place] = output
        step.gemm.output_count = len(outputs)

    def _product(self, operation: Linear, output: str) -> Structure:
        source, target = self.layout.slots[operation.inputs[0]], self.layout.slots[output]
        largest = self.proof.accumulators[operation.name].largest
        gemm = pack(operation, self.choices[operation.name], source, largest, self.path)
        self.scratch = max(self.scratch, gemm.scratch)
        planes = [self._keep(plane, plane.dtype.str) for plane in gemm.planes]
        biases = [self._keep(bias, "int32") for bias in gemm.biases]
        lanes, odd = gemm.blocks * BLOCK, operation.odd
        return binding.Gemm(
            unit=binding.UNITS.index(gemm.choice.unit),
            in_place=gemm.choice.in_place,
            flip=gemm.flip,
            fold=_is_point(operation) and source.shape[1:] == target.shape[1:] == (1, 1),
            limit=gemm.limit,
            stretch_count=len(gemm.stretches),
            words=gemm.words,
            blocks=gemm.blocks,
            group_blocks=gemm.group_blocks,
            patch=gemm.choice.patch.m if gemm.choice.patch else 0,
            shift=gemm.shift,
            factor=gemm.choice.patch.factor if gemm.choice.patch else 1,
            group_bytes=gemm.group_bytes,
            row=gemm.row,
            stretches=self._keep(gemm.stretches, "int64"),
            weights=planes[0],
            bias=biases[0],
            odd=planes[1] if odd else None,
            odd_bias=biases[1] if odd else None,
            odd_b=self._keep(spread(odd.b, lanes), "int32") if odd else None,
            patch_bias=None if gemm.patch_bias is None else self._keep(gemm.patch_bias, "int32"),
            lanes=self._lanes(gemm.lanes),
        )

    def _lanes(self, lanes: Lanes) -> Structure:
        b, c = self._keep(np.append(lanes.b, 0), "int32"), self._keep(lanes.c, "int32")
        up = self._keep(lanes.up, "int32") if lanes.up.any() else None
        rounds = self._keep(lanes.rounds, "int32") if lanes.high else None
        return binding.Lanes(b, c, up, rounds, lanes.high, lanes.lo, lanes.hi)


def _is_point(operation: Linear) -> bool:
    """Whether an output pixel sees the input pixel of its own place alone."""
    if not isinstance(operation, Conv):
        return True
    kernel = operation.weights.codes.shape[2:]
    return kernel == operation.stride == (1, 1) and operation.padding == (0, 0)


def layer_window(operation: Operation) -> Structure:
    """A convolution's window; a fully connected layer is one of 1 x 1."""
    if not isinstance(operation, Conv):
        return binding.Window(1, 1, 1, 1, 0, 0, 1, 1)
    kernel = operation.weights.codes.shape[2:]
    return binding.Window(*kernel, *operation.stride, *operation.padding, *operation.dilation)
