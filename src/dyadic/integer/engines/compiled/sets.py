"""Instruction sets that the C engine is built for, best first: one library each."""

import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class InstructionSet:
    """A set of instructions, what a processor must have for it, and what its dot products are.

    flags     of the compiler, beside FLAGS
    machines  that may have it, by Python's names; any, if none is named
    needs     names of the processor's features, as Linux gives them
    dots      whether there are dot products at all; else layers are `dy_convolve`s
    vector    bytes of a vector
    signed    whether dot products of bytes take signed input; else unsigned
    pairs     whether two products of bytes are added in 16 bits: exact only if those fit
    """

    flags: tuple[str, ...]
    machines: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    dots: bool = True
    vector: int = 32
    signed: bool = False
    pairs: bool = False

    @property
    def tile_blocks(self) -> int:
        """Blocks of 16 channels that a tile of sums has, at most."""
        return 4 if self.vector == 64 else 1

    @property
    def prices(self) -> dict[str, float]:
        """What the parts of a layer (`choose.parts`) cost where nothing was measured, in about
        instructions: a dot product of a vector, a vector of transformed pixels read or written, a
        line of weights that is beyond the cache.
        """
        bytes_, shorts = (3, 2) if self.pairs else (1, 4) if self.signed else (1, 1)
        transforms = {"read4": 2, "written4": 4, "read6": 7, "written6": 6}
        transforms |= {"read7": 2, "written7": 4}
        return {"dot8": bytes_, "dot16": shorts, **transforms, "far": 13, "finished": 0}


def _x86(*names: str) -> tuple[str, ...]:
    return tuple(f"-m{name}" for name in names)


FLAGS = ("-std=gnu99", "-O3", "-fwrapv", "-fPIC", "-shared", "-pthread", "-Wno-psabi")
X86, ARM = ("x86_64", "AMD64"), ("aarch64", "arm64")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")

SETS: dict[str, InstructionSet] = {
    "avx512vnni": InstructionSet(
        (*_x86(*AVX512, "avx512vnni", "bmi2"), "-mprefer-vector-width=512"),
        X86,
        frozenset({*AVX512, "avx512_vnni", "bmi2"}),
        vector=64,
    ),
    "avxvnni": InstructionSet(
        _x86("avx2", "avxvnni", "bmi2"), X86, frozenset({"avx2", "avx_vnni", "bmi2"})
    ),
    "avx2": InstructionSet(_x86("avx2", "bmi2"), X86, frozenset({"avx2", "bmi2"}), pairs=True),
    "neon_dotprod": InstructionSet(
        ("-march=armv8.2-a+dotprod",), ARM, frozenset({"asimddp"}), vector=16, signed=True
    ),
    "portable": InstructionSet((), dots=False),
}


@cache
def available_paths() -> tuple[str, ...]:
    """Names of the sets that this processor has, best first; "portable" is always one."""
    have = features()
    return tuple(name for name, path in SETS.items() if path.needs <= have)


def cpu_lines() -> list[str]:
    """The lines in which Linux describes the processors; none on another system."""
    file = Path("/proc/cpuinfo")
    return file.read_text(errors="replace").splitlines() if file.exists() else []


def features() -> frozenset[str]:
    """What the processor can do, by Linux's names."""
    if platform.system() == "Darwin":
        return _darwin()
    flags = (line for line in cpu_lines() if line.startswith(("flags", "Features")))
    return frozenset(next(flags, "").partition(":")[2].split())


def _darwin() -> frozenset[str]:
    """Every Apple M has the dot products of ARMv8.2; Intel's are asked for."""
    if platform.machine() == "arm64":
        return frozenset({"asimddp"})
    names = ("machdep.cpu.features", "machdep.cpu.leaf7_features")
    done = subprocess.run(["sysctl", "-n", *names], capture_output=True, text=True, check=False)
    named = done.stdout.lower()
    return frozenset(named.split()) | ({"avx512_vnni"} if "avx512vnni" in named else frozenset())
