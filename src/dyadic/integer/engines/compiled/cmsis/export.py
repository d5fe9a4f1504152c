"""A folder of sources that call CMSIS-NN."""

import re
from math import prod
from pathlib import Path

import numpy as np

from dyadic.errors import UserError
from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.compiled.cmsis.model import Model
from dyadic.integer.engines.compiled.export import PREFIX, TEST_IMAGES, noise, rename
from dyadic.integer.engines.compiled.text import comment
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program
from dyadic.record.files import write_atomically


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
