"""Programs run by a C program, for builds that Python cannot load: sanitizers, other machines."""

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dyadic.integer.engines.compiled.build import FLAGS, SOURCES
from dyadic.integer.engines.compiled.plan import Planned
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.operations import Program

HERE = Path(__file__).parent
LINE = 64


def links(compiler: str, *flags: str, directory: Path) -> bool:
    """Whether a trivial program compiles and links with these flags."""
    source = directory / "trivial.c"
    source.write_text("int main(void) { return 0; }\n")
    command = [compiler, *flags, str(source), "-o", str(directory / "trivial")]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def build(compiler: str, path: str, directory: Path, *flags: str) -> Path:
    """The engine with `run_plan.c`, for an instruction set."""
    made = directory / f"run_{path}"
    common = [flag for flag in FLAGS if flag not in ("-shared", "-fPIC")]
    sources = [str(HERE / "run_plan.c"), *map(str, sorted(SOURCES.glob("*.c")))]
    command = [compiler, *common, *SETS[path].flags, f"-I{SOURCES}", *flags, *sources]
    subprocess.run([*command, "-o", str(made)], check=True)
    return made


def write_plan(program: Program, path: str, images: np.ndarray, file: Path) -> int:
    """The plan's memory in a file, pointers as places in it; returns the number of classes."""
    planned = Planned(prove(program), path)
    plan = planned.plan
    parts: list[tuple[int, bytes]] = [
        (a.ctypes.data, a.tobytes()) for a in planned.steps.memory.arrays
    ]
    for array, count in ((plan.slots, plan.slot_count), (plan.steps, plan.step_count)):
        start = ctypes.addressof(array.contents)
        parts.append((start, ctypes.string_at(start, count * ctypes.sizeof(array.contents))))
    structures = {parts[-1][0], parts[-2][0], ctypes.addressof(plan)}
    parts.append((ctypes.addressof(plan), bytes(plan)))
    places: dict[int, int] = {}
    memory = bytearray()
    for start, content in parts:
        places[start] = len(memory)
        memory += content + bytes(-len(content) % LINE)
    pointers = []
    for start, content in parts:
        if start in structures:
            for at in range(0, len(content), 8):
                value = int.from_bytes(content[at : at + 8], "little")
                if value in places:
                    place = places[start] + at
                    memory[place : place + 8] = places[value].to_bytes(8, "little")
                    pointers.append(place)
    name = program.operations[-1].name
    slot = planned.steps.index[name]
    classes = planned.steps.proof.shapes[name][0]
    pixels = images.tobytes()
    header = (len(memory), len(pointers), places[ctypes.addressof(plan)], slot, classes)
    numbers = np.array([*header, len(images), len(pixels), *pointers], np.int64)
    file.write_bytes(numbers.tobytes() + pixels + memory)
    return classes


def run(command: Sequence[str], program: Program, path: str, images: np.ndarray, file: Path):
    """Logits, int32 [N, classes], of the built program; it must end without a complaint."""
    classes = write_plan(program, path, images, file)
    done = subprocess.run(
        [*command, str(file), "3", "2"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return np.frombuffer(done.stdout, np.int32).reshape(len(images), classes)
