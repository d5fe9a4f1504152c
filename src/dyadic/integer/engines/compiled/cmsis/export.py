"""A folder of sources that call CMSIS-NN."""

import re
from pathlib import Path

from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.compiled.cmsis.model import Model
from dyadic.integer.engines.compiled.export import (
    TEST_IMAGES,
    check_prefix,
    expected_rows,
    write_renamed,
)
from dyadic.integer.engines.compiled.text import comment
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program

TEMPLATES = ("dyadic_cmsis.h", "dyadic_cmsis.c", "README.md")


def export_cmsis(program: Program | Proof, directory: Path, prefix: str = "dyadic") -> None:
    """Write a model's source and header that call CMSIS-NN, with a test and a README.

    Raises: ProgramError, naming the operation, for what CMSIS-NN cannot hold (weights beyond s8 as
    5-bit INQ's +128, planes of sqrt(2), thresholds and tables, tensors of more than 8 bits that no
    call rescales); UserError for a prefix that is no C identifier.
    """
    check_prefix(prefix)
    proof = prove(program)
    model = Model(proof)
    channels, height, width = map(str, proof.program.input_shape)
    fields = {
        "name": comment(proof.program.name),
        "channels": channels,
        "height": height,
        "width": width,
        "classes": str(proof.shapes[proof.program.operations[-1].name][0]),
        "images": str(TEST_IMAGES),
        "expected": expected_rows(proof),
        **model.text(),
    }
    templates = {n: (SOURCES / "cmsis" / n).read_text("utf-8") for n in TEMPLATES}
    texts = {
        name: re.sub(r"@(\w+)@", lambda found: fields[found[1]], template)
        for name, template in templates.items()
    }
    write_renamed(texts, Path(directory), prefix)
