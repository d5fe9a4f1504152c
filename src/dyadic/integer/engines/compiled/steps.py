"""Operations as the C engine's steps: numbers, slots and pointers to arrays that stay alive."""

from collections.abc import Sequence
from ctypes import Structure
from functools import singledispatchmethod
from math import prod

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.choose import BLOCK, Choice
from dyadic.integer.engines.compiled.fusion import Group
from dyadic.integer.engines.compiled.lanes import Lanes
from dyadic.integer.engines.compiled.layout import Layout, Slot
from dyadic.integer.engines.compiled.products import Memory, as_gemm, layer_window
from dyadic.integer.engines.compiled.rows import weight_rows
from dyadic.integer.engines.compiled.sets import SETS, InstructionSet
from dyadic.integer.program import operations as ops
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.windows import windows


class StepBuilder:
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
        self.memory = Memory()
        self.steps: list[Structure] = []
        self.scratch = 0

    def build(self, groups: Sequence[Group]) -> list[Structure]:
        """The steps of all groups, in order."""
        if "input" in self.index:
            self._append("pixels", None, "input")
        for group in groups:
            if isinstance(group.operation, ops.Linear) and group.operation.name in self.choices:
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

    @singledispatchmethod
    def _step(self, operation: ops.Operation) -> None:
        raise TypeError(f"{type(operation).__name__} is no operation of a program")

    @_step.register
    def _(self, operation: ops.Normalize) -> None:
        step = self._append("normalize", None, operation.name)
        step.bias = self.memory.keep(operation.bias, "int32")
        step.scale = self.memory.scale(operation.scale, operation.lo, operation.hi)

    @_step.register
    def _(self, operation: ops.Linear) -> None:
        step = self._append("convolve", operation.inputs[0], operation.name)
        step.conv = self._conv(operation)
        window = step.conv.window
        depth = window.height * window.width * step.conv.group_in
        self.scratch = max(self.scratch, depth * binding.C["DY_PIXELS"] * 4)

    def _conv(self, operation: ops.Linear) -> Structure:
        bound, source = self.proof.accumulators[operation.name], operation.inputs[0]
        packed = weight_rows(operation, bound, self.layout.slots[source].dtype, self.shifts)
        groups = operation.groups if isinstance(operation, ops.Conv) else 1
        outputs, group_in = operation.weights.codes.shape[:2]
        planes = [self.memory.keep(plane, plane.dtype.str) for plane in packed.planes]
        return binding.Conv(
            window=layer_window(operation),
            groups=groups,
            group_in=group_in,
            group_out=outputs // groups,
            form=binding.CONV_FORMS.index(packed.form),
            wide=packed.wide,
            weights=planes[0],
            odd=planes[1] if operation.odd else None,
            bias=self.memory.keep(operation.bias, "int64" if packed.wide else "int32"),
            odd_b=self.memory.keep(operation.odd.b, "int32") if operation.odd else None,
            scale=self.memory.scale(operation.scale, operation.lo, operation.hi),
        )

    @_step.register
    def _(self, operation: ops.Requantize) -> None:
        step = self._append("requantize", operation.inputs[0], operation.name)
        step.scale = self.memory.scale(operation.scale, operation.lo, operation.hi)
        if self.path.dots:
            largest = max(map(abs, self.proof.ranges[operation.inputs[0]]))
            lanes = Lanes.of(operation, BLOCK, largest)
            step.gemm.lanes, step.vector = self.memory.lanes(lanes), lanes.high

    @_step.register
    def _(self, operation: ops.Threshold) -> None:
        step = self._append("threshold", operation.inputs[0], operation.name)
        step.count = len(operation.thresholds)
        step.thresholds = self.memory.keep(operation.thresholds, "int32")
        step.values = self.memory.keep(operation.values, "int32")

    @_step.register
    def _(self, operation: ops.Add) -> None:
        step = self._append("add", operation.inputs[0], operation.name)
        step.other = self.index[operation.inputs[1]]
        step.lo, step.hi = operation.lo, operation.hi

    @_step.register
    def _(self, operation: ops.Relu) -> None:
        self._append("relu", operation.inputs[0], operation.name)

    @_step.register
    def _(self, operation: ops.Concat) -> None:
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
    def _(self, operation: ops.MaxPool) -> None:
        self._pool("max_pool", operation)

    @_step.register
    def _(self, operation: ops.SumPool) -> None:
        if operation.counted == "kernel":
            self._pool("sum_pool", operation)
        else:
            self._spans(operation)

    def _pool(self, kind: str, operation: ops.MaxPool | ops.SumPool) -> None:
        step = self._append(kind, operation.inputs[0], operation.name)
        types = {self.layout.slots[name].dtype for name in (operation.inputs[0], operation.name)}
        step.vector = kind == "max_pool" and len(types) == 1 and types != {"int32"}
        window = (*operation.kernel, *operation.stride, *operation.padding)
        step.window = binding.Window(*window, 1, 1)

    @_step.register
    def _(self, operation: ops.AdaptiveSumPool) -> None:
        self._spans(operation)

    def _spans(self, operation: ops.SumPool | ops.AdaptiveSumPool) -> None:
        step = self._append("sum_spans", operation.inputs[0], operation.name)
        size = self.proof.shapes[operation.inputs[0]][1:]
        step.rows, step.columns = (
            self.memory.keep(np.stack([window.begin, window.end, window.factor], axis=1), "int32")
            for window in windows(operation, size)
        )

    @_step.register
    def _(self, operation: ops.Lookup) -> None:
        step = self._append("lookup", operation.inputs[0], operation.name)
        step.lo, step.values = operation.lo, self.memory.keep(operation.values, "int32")

    @_step.register
    def _(self, operation: ops.Multiply) -> None:
        step = self._append("multiply", operation.inputs[0], operation.name)
        step.other = self.index[operation.inputs[1]]
        step.scale = self.memory.scale(operation.scale, operation.lo, operation.hi)

    @_step.register
    def _(self, operation: ops.Select) -> None:
        step = self._append("select", operation.inputs[0], operation.name)
        step.channels = self.memory.keep(operation.channels, "int32")

    @_step.register
    def _(self, operation: ops.Pad) -> None:
        step = self._append("pad", operation.inputs[0], operation.name)
        step.window.pad_x, step.window.pad_y = operation.padding[0], operation.padding[2]

    @_step.register
    def _(self, operation: ops.Repeat) -> None:
        step = self._append("repeat", operation.inputs[0], operation.name)
        step.times_y, step.times_x = operation.times

    @_step.register
    def _(self, operation: ops.Flatten) -> None:
        if prod(self.proof.shapes[operation.inputs[0]][1:]) > 1:
            self._append("flatten", operation.inputs[0], operation.name)

    def _gemm(self, group: Group, operation: ops.Linear) -> None:
        """A layer as a matrix product, with all that its group does in the same pass."""
        step = self._append("gemm", operation.inputs[0], group.outputs[0])
        step.window = layer_window(operation)
        source, target = (self.layout.slots[n] for n in (operation.inputs[0], group.outputs[0]))
        largest = self.proof.accumulators[operation.name].largest
        choice = self.choices[operation.name]
        step.gemm, room = as_gemm(
            operation, choice, source, target, largest, self.path, self.memory
        )
        self.scratch = max(self.scratch, room)
        step.gemm.add = self.index[group.residual] if group.add else binding.NONE
        if group.add:
            step.gemm.lo, step.gemm.hi = group.add.lo, group.add.hi
        outputs = [binding.Output(self.index[name]) for name in group.outputs]
        for output, rescaling in zip(outputs[group.stored :], group.requantize, strict=True):
            largest = max(map(abs, self.proof.ranges[group.made]))
            output.lanes = self.memory.lanes(Lanes.of(rescaling, BLOCK, largest))
        for place, output in enumerate(outputs):
            step.gemm.outputs[place] = output
        step.gemm.output_count = len(outputs)
