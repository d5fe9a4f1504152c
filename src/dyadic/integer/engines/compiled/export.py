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
from dyadic.record.files import write_text

COPIED = (
    "dyadic_kernels.h",
    "dyadic_kernels.c",
    "dyadic_dot.h",
    "export/dyadic_packed.h",
    "export/dyadic_packed.c",
    "export/main.c",
    "export/dyadic_model.h",
    "export/dyadic_test.c",
    "export/README.md",
    "export/Makefile",
)
PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
STACK = 4096  # bytes that a call takes at most: the tests measure it
TEST_IMAGES = 2

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
    fields = {
        "arena": source.arena,
        "constants": source.constants,
        "weights": source.weights,
        "stack": STACK,
        "seed": SEED,
        "factor": FACTOR,
        "increment": INCREMENT,
        **fields_of(proof),
    }
    write_text(Path(directory) / rename("dyadic_model.c", prefix), rename(model, prefix))
    write_sources(COPIED, fields, Path(directory), prefix)


def check_prefix(prefix: str) -> None:
    """Raise UserError where a name cannot begin with it."""
    if not PREFIX.fullmatch(prefix):
        raise UserError(f"prefix={prefix!r}; up to 40 letters, digits and '_', a letter first")


def write_sources(
    names: Iterable[str], fields: Mapping[str, object], directory: Path, prefix: str
) -> None:
    """Write files of `SOURCES`, each `@field@` filled in, under the prefix, atomically."""
    for name in names:
        template = (SOURCES / name).read_text("utf-8")
        text = re.sub(r"@(\w+)@", lambda found: str(fields[found[1]]), template)
        write_text(directory / rename(Path(name).name, prefix), rename(text, prefix))


def rename(text: str, prefix: str) -> str:
    """Names of the sources, `dyadic_` and `dy_`, under another prefix: `net_` and `net_dy_`."""
    for mine, theirs in (("dyadic_", f"{prefix}_"), ("dy_", f"{prefix}_dy_")):
        text = re.sub(rf"\b{mine}", theirs, text)
        text = re.sub(rf"\b{mine.upper()}", theirs.upper(), text)
    return text


def fields_of(proof: Proof) -> dict[str, object]:
    """What every template says of a program: name, sizes, the test's images and their logits."""
    channels, height, width = shape = proof.program.input_shape
    (classes,) = proof.shapes[proof.program.operations[-1].name]
    return {
        "name": comment(proof.program.name),
        "channels": channels,
        "height": height,
        "width": width,
        "pixels": prod(shape),
        "classes": classes,
        "tests": TEST_IMAGES,
        "expected": expected_rows(proof),
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
