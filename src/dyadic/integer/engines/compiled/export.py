"""The program as C99 sources that need nothing else: take the directory away and type make.

The kernels are the engine's own portable ones, with dot products of bytes where the compiler is
told of them; weights lie packed in their own width, and powers of two become shifts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.compiled.fusion import single
from dyadic.integer.engines.compiled.layout import plan
from dyadic.integer.engines.compiled.source import ModelSource
from dyadic.integer.engines.compiled.steps import StepBuilder
from dyadic.integer.engines.compiled.text import c_list, comment
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program
from dyadic.integer.program.requirements import Shape
from dyadic.record.files import write_text

COPIED = (
    "dyadic_kernels.h",
    "dyadic_kernels.c",
    "dyadic_dot.h",
    "export/dyadic_packed.h",
    "export/dyadic_packed.c",
    "export/main.c",
    "export/Makefile",
)
PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
STACK = 4096  # bytes that a call takes at most: the tests measure it
TEST_IMAGES = 2

HEADER = """\
/* {name}: an integer program without floating point, without division. */
#ifndef DYADIC_MODEL_H
#define DYADIC_MODEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define DYADIC_CHANNELS {channels}
#define DYADIC_HEIGHT {height}
#define DYADIC_WIDTH {width}
#define DYADIC_PIXELS {pixels} /* bytes of an image, [channel][row][column] */
#define DYADIC_CLASSES {classes}

#define DYADIC_ARENA {arena} /* bytes that a call works in */
#define DYADIC_CONSTANTS {constants} /* bytes of weights, biases, multipliers and tables */
#define DYADIC_STACK {stack} /* bytes of stack that a call takes at most */

/* The image's class, the index of the largest logit (the first of equals); the logits are on one
 * common scale. The arena is aligned as malloc's memory is; calls with arenas of their own may run
 * side by side. */
int dyadic_classify_in(void *arena, const uint8_t *image, int32_t *logits);

/* The same in a static arena, one call at a time; not there with DYADIC_NO_ARENA. */
int dyadic_classify(const uint8_t *image, int32_t *logits);

extern const char *const dyadic_class_names[DYADIC_CLASSES];

/* 0 if this build gives the right logits for some images of noise (in the static arena). */
int dyadic_test(void);

#ifdef __cplusplus
}}
#endif

#endif
"""

TEST = """\
/* The reference's logits for images of noise. */
#include "dyadic_model.h"

#ifndef DYADIC_NO_ARENA
static const int32_t expected[{images}][DYADIC_CLASSES] = {{
{rows}
}};

int dyadic_test(void)
{{
    static uint8_t image[DYADIC_PIXELS];
    int32_t logits[DYADIC_CLASSES], i;
    uint32_t state = {seed};
    int test, wrong = 0;
    for (test = 0; test < {images}; test++) {{
        for (i = 0; i < DYADIC_PIXELS; i++) {{
            state = state * {factor}u + {increment}u;
            image[i] = (uint8_t)(state >> 24);
        }}
        dyadic_classify(image, logits);
        for (i = 0; i < DYADIC_CLASSES; i++)
            wrong += logits[i] != expected[test][i];
    }}
    return wrong != 0;
}}
#endif
"""
SEED, FACTOR, INCREMENT = 1, 1664525, 1013904223


def export_c(
    program: Program | Proof,
    directory: Path,
    prefix: str = "dyadic",
    classes: Sequence[str] = (),
) -> None:
    """Write the sources with a Makefile, a test and a README, all names beginning with `prefix`.

    `int dyadic_classify(const uint8_t *image, int32_t *logits)` returns the class. The sources
    compile without a warning with `-std=c99 -Wall -Wextra -pedantic`, and are a function of the
    program alone.

    classes  their names; numbers, if none are given

    Raises: ProgramError for a program that cannot be proven exact; UserError for a prefix that is
    no C identifier, or another number of names than of classes.
    """
    check_prefix(prefix)
    proof = prove(program)
    program = proof.program
    (count,) = proof.shapes[program.operations[-1].name]
    if classes and len(classes) != count:
        raise UserError(f"{len(classes)} names for {count} classes")
    groups = single(program)
    layout = plan(groups, proof, {}, share=True)
    steps = StepBuilder(layout, proof, {}, shifts=True)
    steps.build(groups)
    source = ModelSource(steps, layout, proof)
    title = comment(program.name)
    model = "".join(source.text(title, classes or [str(i) for i in range(count)]))
    numbers = _numbers(program.input_shape, count, source)
    texts = {Path(name).name: (SOURCES / name).read_text("utf-8") for name in COPIED}
    texts["dyadic_model.c"] = model
    texts["dyadic_model.h"] = HEADER.format(name=title, **numbers)
    texts["dyadic_test.c"] = TEST.format(
        images=TEST_IMAGES, rows=expected_rows(proof), seed=SEED, factor=FACTOR, increment=INCREMENT
    )
    readme = (SOURCES / "export/README.md").read_text("utf-8")
    texts["README.md"] = readme.format(name=title, weights=source.weights, **numbers)
    write_renamed(texts, Path(directory), prefix)


def check_prefix(prefix: str) -> None:
    """Raise UserError where a name cannot begin with it."""
    if not PREFIX.fullmatch(prefix):
        raise UserError(f"prefix={prefix!r}; up to 40 letters, digits and '_', a letter first")


def write_renamed(texts: Mapping[str, str], directory: Path, prefix: str) -> None:
    """Write the files, their names and contents under the prefix, each atomically."""
    for name, text in texts.items():
        write_text(directory / rename(name, prefix), rename(text, prefix))


def rename(text: str, prefix: str) -> str:
    """Names of the sources, `dyadic_` and `dy_`, under another prefix: `net_` and `net_dy_`."""
    for mine, theirs in (("dyadic_", f"{prefix}_"), ("dy_", f"{prefix}_dy_")):
        text = re.sub(rf"\b{mine}", theirs, text)
        text = re.sub(rf"\b{mine.upper()}", theirs.upper(), text)
    return text


def _numbers(shape: Shape, classes: int, source: ModelSource) -> dict[str, int]:
    names = ("channels", "height", "width")
    sizes = {"arena": source.arena, "constants": source.constants, "stack": STACK}
    return {
        **dict(zip(names, shape, strict=True)),
        "pixels": prod(shape),
        "classes": classes,
        "tests": TEST_IMAGES,
        **sizes,
    }


def noise(count: int) -> Iterable[int]:
    """The bytes that the test's generator makes."""
    state = SEED
    for _ in range(count):
        state = (state * FACTOR + INCREMENT) % 2**32
        yield state >> 24


def expected_rows(proof: Proof) -> str:
    """The reference's logits for the test's images, as rows of an array in C."""
    shape = proof.program.input_shape
    images = np.fromiter(noise(TEST_IMAGES * prod(shape)), np.uint8).reshape(-1, *shape)
    logits = ReferenceEngine(proof).run(images).tolist()
    return ",\n".join(f"    {{{c_list(row)}}}" for row in logits)
