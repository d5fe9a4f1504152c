"""The exported C of a program, as a user builds it, for the compilers' instructions."""

import ctypes
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dyadic.integer.engines.compiled.build import find_compiler
from dyadic.integer.engines.compiled.export import export_c
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.operations import Program

FLAGS = ("-std=c99", "-O3", "-shared", "-fPIC")
BUILDS = {"portable": (), "avx2": SETS["avx2"].flags, "avx512vnni": SETS["avx512vnni"].flags}


def exported(program: Program, batch: int, directory: Path, build: str) -> Callable[[], object]:
    """One image after another, in one thread: all that the sources do."""
    folder = directory / f"exported-{build}"
    export_c(program, folder)
    sources = [str(file) for file in folder.glob("*.c") if not file.name.endswith("main.c")]
    made = folder / "model.so"
    command = [find_compiler(), *FLAGS, *BUILDS[build], *sources, "-o", str(made)]
    subprocess.run(command, check=True)
    classify = ctypes.CDLL(str(made)).dyadic_classify
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (batch, *program.input_shape), np.uint8)
    logits = np.zeros(prove(program).shapes[program.operations[-1].name], np.int32)
    classify.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    return lambda: [classify(image.ctypes.data, logits.ctypes.data) for image in images]
