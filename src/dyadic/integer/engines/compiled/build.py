"""The C engine as shared libraries, one for each instruction set: found in the wheel, or compiled
once per machine and kept by what determines it.

A kept library's name has its checksum: one that is cut short or damaged is made again, not loaded.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from dyadic.errors import UserError
from dyadic.integer.engines.compiled.sets import FLAGS, SETS
from dyadic.record.fingerprint import of_file
from dyadic.record.places import cache_directory

SOURCES = Path(__file__).parent / "c"
PACKAGED = Path(__file__).parent / "lib"
COMPILERS = ("cc", "gcc", "clang")


class CompilerNotFound(UserError):
    """No C compiler is there that works: the other engines run the program without one."""


def find_compiler() -> str:
    """Path of the C compiler: $CC, or cc, gcc, clang.

    Raises: CompilerNotFound.
    """
    names = (os.environ["CC"],) if os.environ.get("CC") else COMPILERS
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise CompilerNotFound(
        f"no C compiler found ({', '.join(names)}); install gcc or clang for the compiled engine"
    )


@cache
def library(path: str) -> Path:
    """The shared library of an instruction set: the wheel's, or built if this machine has none of
    these sources yet.

    Raises: CompilerNotFound where there is no compiler, or none that compiles the sources.
    """
    packaged = PACKAGED / f"{path}.so"
    if packaged.exists():
        return packaged
    compiler, directory = find_compiler(), cache_directory()
    flags = (*FLAGS, *SETS[path].flags)
    key = _key(compiler, flags, sorted(SOURCES.glob("*.[ch]")))
    kept = sorted(directory.glob(f"{path}-{key}-*.so"))
    whole = next((file for file in kept if file.stem == f"{path}-{key}-{of_file(file)}"), None)
    return whole or _build(compiler, flags, directory, f"{path}-{key}")


def _build(compiler: str, flags: Sequence[str], directory: Path, name: str) -> Path:
    """Complete or not there at all."""
    with tempfile.TemporaryDirectory(dir=directory) as beside:
        built = Path(beside) / "built.so"
        compile_library(compiler, flags, built)
        target = directory / f"{name}-{of_file(built)}.so"
        return built.replace(target)


def compile_library(compiler: str, flags: Sequence[str], target: Path) -> None:
    """Compile the sources with these flags.

    Raises: CompilerNotFound, with the compiler's first complaint.
    """
    sources = map(str, sorted(SOURCES.glob("*.c")))
    command = [compiler, *flags, "-o", str(target), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not target.exists():
        first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise CompilerNotFound(f"{compiler} could not compile the engine: {first}")


def _key(compiler: str, flags: Sequence[str], files: Sequence[Path]) -> str:
    """A hash of sources, flags, machine and compiler."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    digest = hashlib.sha256(version + " ".join((*flags, platform.machine())).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
