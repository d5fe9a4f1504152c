"""The program as C99 sources that need nothing else: take the directory away and type make.

The kernels are the engine's own portable ones; weights that are powers of two become shifts.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.compiled.fusion import single
from dyadic.integer.engines.compiled.layout import plan
from dyadic.integer.engines.compiled.steps import Steps
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program
from dyadic.integer.program.shapes import Shape

KERNELS = ("dyadic_kernels.h", "dyadic_kernels.c", "export/main.c", "export/Makefile")
VALUES_PER_LINE = 24

HEADER = """\
/* {name}: an integer program without floating point, without division. */
#ifndef DYADIC_MODEL_H
#define DYADIC_MODEL_H

#include <stdint.h>

#define DYADIC_CHANNELS {channels}
#define DYADIC_HEIGHT {height}
#define DYADIC_WIDTH {width}
#define DYADIC_PIXELS {pixels} /* bytes of an image, [channel][row][column] */
#define DYADIC_CLASSES {classes}

/* The image's class, the index of the largest logit (the first of equals); the logits are on one
 * common scale. Activations are static: one call at a time. */
int dyadic_classify(const uint8_t *image, int32_t *logits);

#endif
"""

CLASSIFY = """\
int dyadic_classify(const uint8_t *image, int32_t *logits)
{{
    dy_tensor result = {{0}};
    result.data = (uint8_t *)logits;
    result.type = DY_S32;
{calls}
    dy_flatten(&{last}, &result, 0, {last}.height);
    return dy_argmax(logits, DYADIC_CLASSES);
}}
"""

CALLS = {
    "pixels": "dy_pixels(image, &{target}, 0, {target}.height);",
    "normalize": "dy_normalize(image, {bias}, &{scale}, &{target}, 0, {target}.height);",
    "convolve": "dy_convolve(&{conv}, &{source}, &{target}, patch, 0, {target}.height);",
    "requantize": "dy_requantize(&{scale}, &{source}, &{target}, 0, {target}.height);",
    "threshold": "dy_threshold({thresholds}, {values}, {count}, &{source}, &{target}, 0,"
    " {target}.height);",
    "add": "dy_add(&{source}, &{other}, {lo}, {hi}, &{target}, 0, {target}.height);",
    "relu": "dy_relu(&{source}, &{target}, 0, {target}.height);",
    "copy": "dy_copy(&{source}, &{target}, 0, {target}.height);",
    "max_pool": "dy_max_pool(&{window}, &{source}, &{target}, 0, {target}.height);",
    "sum_pool": "dy_sum_pool(&{window}, &{source}, &{target}, 0, {target}.height);",
    "sum_spans": "dy_sum_spans({rows}, {columns}, &{source}, &{target}, 0, {target}.height);",
    "lookup": "dy_lookup({values}, {lo}, &{source}, &{target}, 0, {target}.height);",
    "multiply": "dy_gate(&{scale}, &{source}, &{other}, &{target}, 0, {target}.height);",
    "select": "dy_select({channels}, &{source}, &{target}, 0, {target}.height);",
    "pad": "dy_pad({top}, {left}, &{source}, &{target}, 0, {target}.height);",
    "repeat": "dy_repeat({times_y}, {times_x}, &{source}, &{target}, 0, {source}.height);",
    "flatten": "dy_flatten(&{source}, &{target}, 0, {source}.height);",
}


def export_c(program: Program | Proof, directory: Path) -> None:
    """Write dyadic_model.h and .c, dyadic_kernels.h and .c, main.c and a Makefile.

    `int dyadic_classify(const uint8_t *image, int32_t *logits)` returns the class. The sources
    compile without a warning with `-std=c99 -Wall -Wextra -pedantic`.

    Raises: ProgramError for a program that cannot be proven exact.
    """
    directory.mkdir(parents=True, exist_ok=True)
    proof = prove(program)
    program = proof.program
    groups = single(program)
    layout = plan(groups, proof, {}, share=True)
    steps = Steps(layout, proof, {}, shifts=True)
    steps.build(groups)
    classes = proof.shapes[program.operations[-1].name]
    _write(directory / "dyadic_model.h", [_header(program, classes)])
    _write(directory / "dyadic_model.c", _Source(steps, layout.arena).text(program))
    for name in KERNELS:
        shutil.copyfile(SOURCES / name, directory / Path(name).name)


def _write(path: Path, parts: list[str] | Iterator[str]) -> None:
    """Complete or not at all."""
    beside = path.with_name(path.name + ".partial")
    with beside.open("w") as file:
        file.writelines(parts)
    beside.replace(path)


def _header(program: Program, classes: Shape) -> str:
    channels, height, width = program.input_shape
    return HEADER.format(
        name=_comment(program.name),
        channels=channels,
        height=height,
        width=width,
        pixels=channels * height * width,
        classes=classes[0],
    )


def _comment(text: str) -> str:
    """Text that cannot end a comment."""
    return "".join(c if c.isalnum() or c in " _.,=-" else "_" for c in text)


class _Source:
    """dyadic_model.c, made from the engine's steps: arrays, then tensors, then calls."""

    def __init__(self, steps: Steps, arena: int) -> None:
        self.steps, self.arena = steps, arena
        self.arrays = {array.ctypes.data: f"array{i}" for i, array in enumerate(steps.arrays)}

    def text(self, program: Program) -> Iterator[str]:
        """The file, in parts."""
        yield f"/* {_comment(program.name)}: weights and the order of operations. */\n"
        yield '#include "dyadic_model.h"\n\n#include "dyadic_kernels.h"\n\n#include <stddef.h>\n\n'
        yield f"static uint8_t arena[{self.arena}];\n"
        if self.steps.scratch:
            yield f"static int32_t patch[{self.steps.scratch // 4}];\n"
        for index, array in enumerate(self.steps.arrays):
            yield from _array(f"array{index}", array)
        yield "\n"
        calls = ["    " + self._call(index, step) for index, step in enumerate(self.steps.steps)]
        last = self.steps.index[program.operations[-1].name]
        classify = CLASSIFY.format(calls="\n".join(calls), last=f"tensor{last}")
        # A concatenation that is only part of another one is written and read as that one alone.
        used = set(re.findall(r"\btensor\d+\b", classify))
        for index, slot in enumerate(self.steps.slots()):
            if f"tensor{index}" in used:
                yield self._tensor(index, slot)
        for index, step in enumerate(self.steps.steps):
            yield self._constants(index, step)
        yield "\n" + classify

    def _tensor(self, index: int, slot: binding.Slot) -> str:
        view = slot.view
        shape = (view.channels, view.height, view.width, view.stride, view.pitch)
        return (
            f"static const dy_tensor tensor{index} = {{arena + {slot.offset + slot.origin},"
            f" {view.type}, {_list(shape)}}};\n"
        )

    def _constants(self, index: int, step: binding.Step) -> str:
        kind = binding.STEPS[step.kind]
        if kind == "convolve":
            return f"static const dy_conv conv{index} = {self._conv(step.conv)};\n"
        if kind in ("normalize", "requantize", "multiply"):
            return f"static const dy_scale scale{index} = {self._scale(step.scale)};\n"
        if kind in ("max_pool", "sum_pool"):
            return f"static const dy_window window{index} = {_fields(step.window)};\n"
        return ""

    def _call(self, index: int, step: binding.Step) -> str:
        names = {kind: f"{kind}{index}" for kind in ("conv", "scale", "window")}
        slots = {key: f"tensor{getattr(step, key)}" for key in ("source", "other", "target")}
        pointers = {
            key: self._pointer(getattr(step, key))
            for key in ("thresholds", "values", "channels", "rows", "columns", "bias")
        }
        numbers = {key: getattr(step, key) for key in ("lo", "hi", "count", "times_y", "times_x")}
        numbers |= {"top": step.window.pad_y, "left": step.window.pad_x}
        call = CALLS[binding.STEPS[step.kind]]
        return call.format(**names, **slots, **pointers, **numbers)

    def _conv(self, conv: binding.Conv) -> str:
        numbers = _list((conv.groups, conv.group_in, conv.group_out, conv.form, conv.wide))
        pointers = (conv.weights, conv.odd, conv.bias, conv.odd_b)
        addresses = ", ".join(self._pointer(pointer) for pointer in pointers)
        return f"{{{_fields(conv.window)}, {numbers}, {addresses}, {self._scale(conv.scale)}}}"

    def _scale(self, scale: binding.Scale) -> str:
        numbers = _list((scale.per_channel, scale.lo, scale.hi))
        return f"{{{self._pointer(scale.b)}, {self._pointer(scale.c)}, {numbers}}}"

    def _pointer(self, address: int | None) -> str:
        return self.arrays[address] if address else "NULL"


def _array(name: str, array: np.ndarray) -> Iterator[str]:
    """A constant array; C has none without elements."""
    values = array.ravel().tolist() or [0]
    yield f"static const {array.dtype.name}_t {name}[{len(values)}] = {{\n"
    for start in range(0, len(values), VALUES_PER_LINE):
        yield _list(values[start : start + VALUES_PER_LINE]) + ",\n"
    yield "};\n"


def _list(values: tuple[int, ...] | list[int]) -> str:
    return ", ".join(map(str, values))


def _fields(window: binding.Window) -> str:
    return f"{{{_list([getattr(window, field[0]) for field in window._fields_])}}}"
