"""The exported C sources, compiled and called."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.operations import Program

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
SANITIZERS = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = ("main.c", *(f"dyadic_{part}.c" for part in ("model", "kernels", "packed", "test")))


def sanitizes(compiler: str) -> bool:
    """Whether a trivial program links with the sanitizers: their runtime may be missing."""
    command = [compiler, *SANITIZERS, "-xc", "-", "-o", os.devnull]
    trivial = "int main(void) { return 0; }"
    return not subprocess.run(command, input=trivial.encode(), capture_output=True).returncode


LEFT_OUT = pytest.mark.skip(reason="this compiler has no sanitizer runtime here")
SANITIZED = [pytest.param(c, marks=[] if sanitizes(c) else [LEFT_OUT]) for c in COMPILERS]


def build(directory: Path, compiler: str, *flags: str) -> Path:
    """Compile the exported sources; a warning is an error."""
    made = directory / "classify"
    sources = [str(directory / name) for name in SOURCES]
    command = [*compiler.split(), *STRICT, *flags, "-o", str(made), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def classify(classifier: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(classifier), *map(str, arguments)]
    # Another LD_PRELOAD in front of the sanitizer's library would be an error of its own.
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def assert_classifies(
    classifier: Path, program: Program, images: np.ndarray, emulator: tuple[str, ...] = ()
) -> None:
    """Every line is the reference's class and logits; nothing on stderr. The test passes too."""
    raw = classifier.parent / "images.raw"
    raw.write_bytes(images.tobytes())
    first, *others = (*emulator, str(classifier))
    tested = classify(Path(first), *others, "--test")
    assert (tested.returncode, tested.stdout) == (0, "test passed\n")
    done = classify(Path(first), *others, raw)
    assert (done.returncode, done.stderr) == (0, "")
    logits = ReferenceEngine(program).run(images)
    expected = np.column_stack([logits.argmax(1), logits])
    assert np.array_equal(np.loadtxt(done.stdout.splitlines(), dtype=int, ndmin=2), expected)
