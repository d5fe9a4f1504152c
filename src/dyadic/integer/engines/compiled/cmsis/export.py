"""A folder of sources that call CMSIS-NN."""

from pathlib import Path

from dyadic.integer.engines.compiled.cmsis.model import Model
from dyadic.integer.engines.compiled.export import check_prefix, fields_of, write_sources
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program

TEMPLATES = ("cmsis/dyadic_cmsis.h", "cmsis/dyadic_cmsis.c", "cmsis/README.md")


def export_cmsis(program: Program | Proof, directory: Path, prefix: str = "dyadic") -> None:
    """Write a model's source and header that call CMSIS-NN, with a test and a README.

    Raises: ProgramError, naming the operation, for what CMSIS-NN cannot hold (weights beyond s8 as
    5-bit INQ's +128, planes of sqrt(2), thresholds and tables, tensors of more than 8 bits that no
    call rescales); UserError for a prefix that is no C identifier.
    """
    check_prefix(prefix)
    proof = prove(program)
    model = Model(proof)
    fields = fields_of(proof) | model.text()
    write_sources(TEMPLATES, fields, Path(directory), prefix)
