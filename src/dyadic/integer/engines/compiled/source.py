"""The text of an exported model: arrays, layers and places by their own names, then the calls."""

from collections.abc import Iterator, Sequence
from ctypes import Structure
from dataclasses import dataclass

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.layout import Layout
from dyadic.integer.engines.compiled.rows import shift_codes
from dyadic.integer.engines.compiled.steps import StepBuilder
from dyadic.integer.engines.compiled.text import c_list, comment, declare, literal
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.names import identifiers
from dyadic.integer.program.operations import Linear
from dyadic.integer.program.packing import pack

ROWS_BYTES = 2**14  # of weights that are unpacked at a time, if one channel's are not more
ALIGNED = 8

CALLS = {
    "pixels": "dy_pixels(image, &out, 0, out.height);",
    "normalize": "dy_normalize(image, {bias}, &{scale}, &out, 0, out.height);",
    "convolve": "dy_convolve_packed(&{layer}, &in, &out, patch, rows);",
    "requantize": "dy_requantize(&{scale}, &in, &out, 0, out.height);",
    "threshold": "dy_threshold({thresholds}, {values}, {count}, &in, &out, 0, out.height);",
    "add": "dy_add(&in, &other, {lo}, {hi}, &out, 0, out.height);",
    "relu": "dy_relu(&in, &out, 0, out.height);",
    "copy": "dy_copy(&in, &out, 0, out.height);",
    "max_pool": "dy_max_pool(&{window}, &in, &out, 0, out.height);",
    "sum_pool": "dy_sum_pool(&{window}, &in, &out, 0, out.height);",
    "sum_spans": "dy_sum_spans({rows}, {columns}, &in, &out, 0, out.height);",
    "lookup": "dy_lookup({values}, {lo}, &in, &out, 0, out.height);",
    "multiply": "dy_gate(&{scale}, &in, &other, &out, 0, out.height);",
    "select": "dy_select({channels}, &in, &out, 0, out.height);",
    "pad": "dy_pad({top}, {left}, &in, &out, 0, out.height);",
    "repeat": "dy_repeat({times_y}, {times_x}, &in, &out, 0, in.height);",
    "flatten": "dy_flatten(&in, &out, 0, in.height);",
}
STEP_POINTERS = ("thresholds", "values", "channels", "rows", "columns", "bias")
STEP_NUMBERS = ("lo", "hi", "count", "times_y", "times_x")

CLASSIFY = """\
int dyadic_classify_in(void *arena, const uint8_t *image, int32_t *logits)
{{
    dy_tensor {tensors};
{scratch}{calls}
    in = dy_at(arena, places + {last});
    out.data = (uint8_t *)logits;
    out.type = DY_S32;
    dy_flatten(&in, &out, 0, in.height);
    return dy_argmax(logits, DYADIC_CLASSES);
}}

#ifndef DYADIC_NO_ARENA
int dyadic_classify(const uint8_t *image, int32_t *logits)
{{
    static union {{
        int64_t aligned;
        uint8_t bytes[DYADIC_ARENA];
    }} arena;
    return dyadic_classify_in(arena.bytes, image, logits);
}}
#endif
"""
SCRATCH = """\
    void *const patch = (uint8_t *)arena + {patch};
    void *const rows = (uint8_t *)arena + {rows};
"""


@dataclass(frozen=True)
class Part:
    """How many channels of a layer are unpacked at a time: whole groups, or outputs of one."""

    groups: int
    outputs: int
    size: int

    @classmethod
    def of(cls, conv: Structure, outputs: int) -> "Part":
        """As many as fit into ROWS_BYTES, at least one."""
        depth = conv.window.height * conv.window.width * conv.group_in
        row = depth * np.dtype(form_type(conv)).itemsize * (2 if conv.odd else 1)
        fit = max(1, ROWS_BYTES // row)
        if fit < conv.group_out:
            return cls(1, fit, fit * row)
        groups = min(conv.groups, fit // conv.group_out)
        return cls(groups, conv.group_out, groups * conv.group_out * row)


def form_type(conv: Structure) -> str:
    """The type of the unpacked weights."""
    form = binding.CONV_FORMS[conv.form]
    return "uint8" if form == "shift" else form


class ModelSource:
    """dyadic_model.c, made from the engine's steps with nothing fused."""

    def __init__(self, steps: StepBuilder, layout: Layout, proof: Proof) -> None:
        self.steps, self.proof = steps, proof
        names = list(steps.index)
        self.named = dict(zip(names, identifiers(names), strict=True))
        self.slots = {index: name for name, index in steps.index.items()}
        self.operations = {operation.name: operation for operation in proof.program.operations}
        self.kept = {array.ctypes.data: array for array in steps.memory.arrays}
        self.arrays: dict[tuple[str, bytes], str] = {}
        self.constants, self.weights = 0, 0
        self.patch = layout.arena
        self.rows = self.patch + -(-steps.scratch // ALIGNED) * ALIGNED
        parts = [self._part(step) for step in steps.steps if _kind(step) == "convolve"]
        self.arena = self.rows + max((part.size for part in parts), default=0)

    def text(self, title: str, classes: Sequence[str]) -> Iterator[str]:
        """The file, in parts; `constants` counts the bytes of its arrays."""
        yield f"/* {title}: weights and the order of operations. */\n"
        yield '#include "dyadic_model.h"\n\n#include "dyadic_packed.h"\n\n#include <stddef.h>\n\n'
        calls = []
        for step in self.steps.steps:
            name = self._name(step)
            declared, call = self._step(step)
            yield f"/* {comment(name)} */\n" if declared else ""
            yield from declared
            calls.append(f"    /* {comment(name)} */\n{self._places(step)}    {call}\n")
        yield "\nstatic const dy_place places[] = {\n"
        for slot in self.steps.slots():
            yield f"    {{{c_list(_place(slot))}}},\n"
        yield "};\n\n"
        names = ", ".join(map(literal, classes))
        yield f"const char *const dyadic_class_names[] = {{{names}}};\n\n"
        body = "".join(calls)
        used = [name for name in ("in", "other", "out") if name == "in" or f"    {name} = " in body]
        scratch = SCRATCH.format(patch=self.patch, rows=self.rows) if "rows);" in body else ""
        last = self.steps.index[self.proof.program.operations[-1].name]
        yield CLASSIFY.format(tensors=", ".join(used), calls=body, last=last, scratch=scratch)

    def _name(self, step: Structure) -> str:
        """The operation that a step computes, or copies for."""
        return self.slots[step.target].partition("\n")[0]

    def _places(self, step: Structure) -> str:
        """Where the step's tensors are."""
        tensors = {"in": step.source, "other": step.other, "out": step.target}
        return "".join(
            f"    {name} = dy_at(arena, places + {slot});\n"
            for name, slot in tensors.items()
            if slot >= 0
        )

    def _step(self, step: Structure) -> tuple[list[str], str]:
        """What a step declares, and its call."""
        kind, here = _kind(step), self.named[self.slots[step.target]]
        declared: list[str] = []
        fields = {key: getattr(step, key) for key in STEP_NUMBERS}
        fields |= {"top": step.window.pad_y, "left": step.window.pad_x}
        for key in STEP_POINTERS:
            if address := getattr(step, key):
                fields[key] = self._array(f"{key}_{here}", self.kept[address], declared)
        if kind == "convolve":
            fields["layer"] = self._layer(step, here, declared)
        elif kind in ("normalize", "requantize", "multiply"):
            scale = self._scale(step.scale, here, declared)
            fields["scale"] = self._constant("dy_scale", f"scale_{here}", scale, declared)
        elif kind in ("max_pool", "sum_pool"):
            window = _fields(step.window)
            fields["window"] = self._constant("dy_window", f"window_{here}", window, declared)
        return declared, CALLS[kind].format(**fields)

    def _part(self, step: Structure) -> Part:
        return Part.of(step.conv, step.conv.group_out)

    def _layer(self, step: Structure, here: str, declared: list[str]) -> str:
        """A layer with its codes packed, and the levels in the type that the kernel reads."""
        conv, operation = step.conv, self.operations[self._name(step)]
        assert isinstance(operation, Linear)
        weights = operation.weights
        codes = weights.codes.reshape(*weights.codes.shape[:2], *_kernel(weights.codes))
        packed = pack(np.ascontiguousarray(codes.transpose(0, 2, 3, 1)), weights.bits)
        self.weights += len(packed)
        rows = [self._levels(conv, row) for row in np.atleast_2d(weights.levels)]
        levels = [
            self._array(f"{key}_{here}", row, declared)
            for key, row in zip(("levels", "oddlevels"), rows, strict=False)
        ]
        bias = self._array(f"bias_{here}", self.kept[conv.bias], declared)
        odd_b = self._kept(conv.odd_b, f"oddmultiplier_{here}", declared)
        sizes = c_list((conv.groups, conv.group_in, conv.group_out, conv.form, conv.wide))
        scale = self._scale(conv.scale, here, declared)
        value = f"{{{_fields(conv.window)}, {sizes}, NULL, NULL, {bias}, {odd_b}, {scale}}}"
        part = self._part(step)
        codes_name = self._array(f"codes_{here}", packed, declared)
        last = c_list((weights.bits, part.groups, part.outputs))
        pointers = ", ".join([codes_name, *levels, "NULL"][:3])
        value = f"{{{value}, {pointers}, {last}}}"
        return self._constant("dy_packed", f"layer_{here}", value, declared)

    def _levels(self, conv: Structure, row: np.ndarray) -> np.ndarray:
        if binding.CONV_FORMS[conv.form] == "shift":
            return shift_codes(row)
        return row.astype(form_type(conv))

    def _scale(self, scale: Structure, here: str, declared: list[str]) -> str:
        b = self._kept(scale.b, f"multiplier_{here}", declared)
        c = self._kept(scale.c, f"shift_{here}", declared)
        return f"{{{b}, {c}, {c_list((scale.per_channel, scale.lo, scale.hi))}}}"

    def _kept(self, address: int | None, name: str, declared: list[str]) -> str:
        return self._array(name, self.kept[address], declared) if address else "NULL"

    def _constant(self, kind: str, name: str, value: str, declared: list[str]) -> str:
        declared.append(f"static const {kind} dyadic_{name} = {value};\n")
        return f"dyadic_{name}"

    def _array(self, name: str, array: np.ndarray, declared: list[str]) -> str:
        """A constant array, declared once for all that are equal; C has none without elements."""
        key = (array.dtype.name, array.tobytes())
        if key not in self.arrays:
            self.arrays[key] = f"dyadic_{name}"
            self.constants += array.nbytes
            declare(f"dyadic_{name}", array, declared)
        return self.arrays[key]


def _kind(step: Structure) -> str:
    return binding.STEPS[step.kind]


def _kernel(codes: np.ndarray) -> tuple[int, ...]:
    return codes.shape[2:] or (1, 1)


def _place(slot: Structure) -> tuple[int, ...]:
    view = slot.view
    shape = (view.channels, view.height, view.width, view.stride, view.pitch)
    return (slot.offset + slot.origin, view.type, *shape)


def _fields(window: Structure) -> str:
    return f"{{{c_list([getattr(window, field[0]) for field in window._fields_])}}}"
