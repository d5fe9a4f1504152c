"""The C engine as a shared library: compiled once per machine, kept by what determines it."""

import atexit
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

SOURCES = Path(__file__).parent / "c"
COMPILERS = ("cc", "gcc", "clang")
CACHE_VARIABLE = "DYADIC_CACHE"
X86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
NATIVE = ("-march=native",) if X86 else ()  # elsewhere not every compiler knows the flag
FLAGS = ("-std=gnu99", "-O3", *NATIVE, "-fPIC", "-shared", "-pthread")


class CompilerNotFound(UserError):
    """No C compiler is installed, or none that works: the other engines run without one."""


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


def cache_directory() -> Path:
    """Where libraries are kept: $DYADIC_CACHE, or `dyadic` in the user's cache directory."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dyadic"


def _folder() -> Path:
    """The cache; a folder of this process where it cannot be written, as without a home."""
    try:
        folder = cache_directory()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):  # the latter where there is no home at all
        folder = Path(tempfile.mkdtemp(prefix="dyadic-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder


@cache
def library() -> Path:
    """The shared library, built if this machine has none of these sources yet.

    Raises: CompilerNotFound; UserError if the sources do not compile.
    """
    compiler = find_compiler()
    sources = sorted(SOURCES.glob("*.c"))
    key = _key(compiler, sorted(SOURCES.glob("*.[ch]")))
    path = _folder() / f"engine-{key}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as directory:
            built = Path(directory) / path.name
            _compile([compiler, *FLAGS, "-o", str(built), *map(str, sources)])
            built.replace(path)  # complete or not there at all
    return path


def _key(compiler: str, files: Sequence[Path]) -> str:
    """A hash of sources, flags, compiler and processor: -march=native depends on all of them."""
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    digest = hashlib.sha256(version + " ".join(FLAGS).encode() + _processor().encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """What the processor can do, as far as the system tells."""
    information = Path("/proc/cpuinfo")
    if not information.exists():
        return f"{platform.machine()} {platform.processor()}"
    lines = information.read_text().splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def _compile(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise CompilerNotFound(f"{command[0]} could not compile the engine: {first}")
