"""The exported C sources: equal to the reference, without warnings, floats, divisions or faults."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.random_programs import Builder, programs, random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import export_c
from dyadic.integer.engines.compiled.rows import NEGATIVE, ZERO, shift_codes
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.files import stored_bytes
from dyadic.integer.program.operations import Concat, Flatten, Program

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
SANITIZERS = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = ("main.c", *(f"dyadic_{part}.c" for part in ("model", "kernels", "packed", "test")))
FLAGS = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
FAST = {"avx512_vnni": ["-mavx512bw", "-mavx512vnni"], "avx2": ["-mavx2"]}
FASTER = [flags for unit, flags in FAST.items() if unit in FLAGS]


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


@pytest.mark.parametrize("compiler", SANITIZED)
@given(program=programs())
@settings(max_examples=3, deadline=None)
def test_sanitized_sources_equal_the_reference(tmp_path_factory, compiler, program):
    directory = tmp_path_factory.mktemp("c")
    export_c(program, directory)
    classifier = build(directory, compiler, *SANITIZERS)
    assert_classifies(classifier, program, random_images(program, 3))


@pytest.mark.parametrize("flags", FASTER, ids=" ".join)
@given(program=programs())
@settings(max_examples=3, deadline=None)
def test_vector_instructions_change_nothing(tmp_path_factory, flags, program):
    directory = tmp_path_factory.mktemp("c")
    export_c(program, directory)
    classifier = build(directory, COMPILERS[0], *SANITIZERS, *flags)
    assert_classifies(classifier, program, random_images(program, 3))


ARM = "aarch64-linux-gnu-gcc"
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


@pytest.mark.skipif(not (shutil.which(ARM) and EMULATOR), reason="needs the cross compiler, qemu")
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_neon_dot_products_change_nothing(tmp_path, seed):
    program = resnet20(bits=8, size=12) if seed == 0 else random_program(seed)
    export_c(program, tmp_path)
    classifier = build(tmp_path, ARM, "-O2", "-static", "-march=armv8.2-a+dotprod")
    assert_classifies(classifier, program, random_images(program, 2), (str(EMULATOR),))


def test_a_concatenation_within_another_is_made_in_place(tmp_path):
    builder = Builder(np.random.default_rng(0), (2, 4, 4))
    parts = [builder.conv("input", outputs=2, same_size=True) for _ in range(3)]
    inner = builder.add(Concat("inner", tuple(parts[:2])))
    outer = builder.add(Concat("outer", (inner, parts[2])))
    program = builder.program(Flatten("logits", (outer,)))
    export_c(program, tmp_path)
    for compiler in COMPILERS:
        assert_classifies(build(tmp_path, compiler), program, random_images(program, 3))


EXPORT = """
import sys
from tests.integer.random_programs import random_program
from dyadic.errors import UserError
from dyadic.integer.engines.compiled import export_c
for seed in (1, 4):
    export_c(random_program(seed), sys.argv[1] + f"/{seed}")
"""


def test_the_sources_are_a_function_of_the_program_alone(tmp_path):
    root = Path(__file__).parents[4]
    for seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}/src:{root}"}
        command = [sys.executable, "-c", EXPORT, str(tmp_path / seed)]
        subprocess.run(command, check=True, env=environment)
    one, other = (sorted((tmp_path / seed).rglob("*.*")) for seed in ("0", "1"))
    assert len(one) == len(other) == 2 * 10
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


@pytest.mark.parametrize("bits", [3, 5, 8])
def test_weights_lie_in_their_own_width(tmp_path, bits):
    """Of ResNet-20's 270 000 weights nothing is stored but their codes."""
    program = resnet20(bits=bits, size=12)
    export_c(program, tmp_path)
    header = (tmp_path / "dyadic_model.h").read_text()
    constants = int(re.search(r"DYADIC_CONSTANTS (\d+)", header)[1])
    stored = stored_bytes(program)
    assert stored <= constants <= stored + 12_000
    command = [COMPILERS[0], *STRICT, "-Os", "-c", "dyadic_model.c", "-o", "model.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    sizes = subprocess.run(["size", "model.o"], cwd=tmp_path, capture_output=True, text=True)
    text, data, *_ = map(int, sizes.stdout.splitlines()[1].split()[:3])
    assert text + data <= constants + 20_000, "code, calls and places"
    assert not re.search(r"int64_t \w+\[", (tmp_path / "dyadic_model.c").read_text())


TWO = """
#include "net/net_model.h"
#include "other_2/other_2_model.h"
#include <cstdio>
int main()
{
    static uint8_t image[NET_PIXELS > OTHER_2_PIXELS ? NET_PIXELS : OTHER_2_PIXELS];
    static int64_t arena[NET_ARENA / 8 + 1];
    int32_t mine[NET_CLASSES], given[NET_CLASSES], theirs[OTHER_2_CLASSES];
    const int same = net_classify(image, mine) == net_classify_in(arena, image, given);
    for (int i = 0; i < NET_CLASSES; i++)
        if (mine[i] != given[i])
            return 1;
    other_2_classify(image, theirs);
    std::puts(net_class_names[0]);
    return !same || net_test() || other_2_test();
}
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a compiler of C++")
def test_two_models_link_into_one_binary_of_cpp(tmp_path):
    names = ['a "cat"?', *(f"class {i}" for i in range(1, 10))]
    export_c(resnet20(bits=4, size=12), tmp_path / "net", prefix="net", classes=names)
    export_c(random_program(3), tmp_path / "other_2", prefix="other_2")
    (tmp_path / "two.cc").write_text(TWO)
    for name in ("net", "other_2"):
        parts = [f"{name}_{part}.c" for part in ("model", "kernels", "packed", "test")]
        command = [COMPILERS[0], *STRICT, "-c", *parts]
        subprocess.run(command, cwd=tmp_path / name, check=True)
    objects = [str(path) for path in tmp_path.glob("*/*.o")]
    command = ["g++", "-Wall", "-Wextra", "-Werror", "two.cc", *objects, "-o", "two"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "two"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, 'a "cat"?\n')
    command = ["nm", "-g", "--defined-only", *objects]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    outer = [line.split()[2] for line in text.splitlines() if len(line.split()) == 3]
    assert [name for name in outer if not name.startswith(("net_", "other_2_"))] == []


@pytest.mark.parametrize("prefix", ["", "2net", "a-b", "x" * 41, "ü"])
def test_a_prefix_that_is_no_name_is_refused(tmp_path, prefix):
    with pytest.raises(UserError, match="prefix="):
        export_c(random_program(1), tmp_path, prefix=prefix)
    assert not list(tmp_path.iterdir())


def test_layers_keep_their_names(exported):
    model = (exported / "dyadic_model.c").read_text()
    assert "/* block0.conv1 */" in model
    assert "dyadic_layer_block0_conv1" in model


STACK = """
#include "dyadic_model.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { SIZE = 1 << 20 };
static int with_a_call;
static void *run(void *image)
{
    static int32_t logits[DYADIC_CLASSES];
    if (with_a_call)
        dyadic_classify(image, logits);
    return NULL;
}
static long used(void *image, unsigned char *stack)
{
    pthread_attr_t attributes;
    pthread_t thread;
    long i;
    memset(stack, 0xa5, SIZE);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, SIZE);
    pthread_create(&thread, &attributes, run, image);
    pthread_join(thread, NULL);
    for (i = 0; i < SIZE && stack[i] == 0xa5; i++) {
    }
    return SIZE - i;
}
int main(void)
{
    static uint8_t image[DYADIC_PIXELS];
    unsigned char *stack = aligned_alloc(1 << 16, SIZE);
    const long before = used(image, stack);
    with_a_call = 1;
    printf("%ld %d\\n", used(image, stack) - before, DYADIC_STACK);
    return 0;
}
"""


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("level", [pytest.param("-O1", marks=pytest.mark.slow), "-O3"])
def test_a_call_takes_no_more_stack_than_it_says(exported, tmp_path, compiler, level):
    """The painted stack of a thread, with and without the call."""
    (tmp_path / "stack.c").write_text(STACK)
    sources = [str(exported / name) for name in SOURCES if name != "main.c"]
    command = [compiler, "-std=gnu11", level, "-pthread", f"-I{exported}", "stack.c", *sources]
    subprocess.run([*command, "-o", "stack"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "stack"], capture_output=True, text=True, check=True)
    taken, announced = map(int, done.stdout.split())
    assert 0 < taken <= announced


@pytest.fixture(scope="module")
def power_of_two() -> Program:
    """ResNet-20 with weights of three bits, -3 to 3, of which 3 is no power of two, made 4."""
    program = resnet20(bits=3, size=12)
    for operation in program.operations:
        weights = getattr(operation, "weights", None)
        if weights is not None:
            weights.levels[:] = np.array([-4, -2, -1, 0, 1, 2, 4])
    return program


@pytest.fixture(scope="module")
def exported(tmp_path_factory, power_of_two) -> Path:
    directory = tmp_path_factory.mktemp("exported")
    export_c(power_of_two, directory)
    return directory


@pytest.mark.parametrize("compiler", COMPILERS)
def test_powers_of_two_run_as_shifts(exported, power_of_two, compiler):
    model = (exported / "dyadic_model.c").read_text()
    levels = re.findall(r"static const (\w+) dyadic_levels_\w+\[", model)
    assert levels == ["uint8_t"], "the codes of shifts, once for all layers"
    classifier = build(exported, compiler, "-O2")
    assert_classifies(classifier, power_of_two, random_images(power_of_two, 4))


def test_shift_codes_hold_sign_exponent_and_zero():
    codes = shift_codes(np.array([1, -1, 0, 128, -(2**31), 2]))
    assert codes.tolist() == [0, NEGATIVE, ZERO, 7, 31 | NEGATIVE, 1]


def disassemble(directory: Path, compiler: str, *flags: str) -> dict[str, list[str]]:
    """Instructions of the model and its kernels by function, as objdump prints them."""
    functions: dict[str, list[str]] = {}
    for source in SOURCES[1:4]:
        path = directory / f"{source}.o"
        command = [compiler, *STRICT, "-O2", *flags, "-c", str(directory / source), "-o", str(path)]
        subprocess.run(command, check=True)
        command = ["objdump", "-d", "--no-show-raw-insn", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for block in re.split(r"\n(?=[0-9a-f]+ <)", text):
            if found := re.match(r"[0-9a-f]+ <(.+)>:\n", block):
                lines = block[found.end() :].splitlines()
                functions[found[1]] = [line.split("\t")[1] for line in lines if "\t" in line]
    assert len(functions) > 10
    return functions


# x87, then scalar and packed arithmetic, comparison and conversion of the vector extensions.
# Moves and bitwise operations such as xorps are how compilers zero and copy integers.
FLOAT = re.compile(
    r"f[a-z]+|v?(add|sub|mul|div|sqrt|min|max|rcp|rsqrt|cmp|u?comi|round|haddp|hsubp)\w*[sp][sd]"
    r"|v?cvt\w+|vf[n]?m\w+"
)
DIVISION = re.compile(r"i?div[bwlq]?")


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="reads x86-64 mnemonics")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", [[], ["-O3"], ["-O3", "-mavx2"]])
def test_object_code_has_neither_floats_nor_divisions(exported, compiler, flags):
    for function, lines in disassemble(exported, compiler, *flags).items():
        for line in lines:
            mnemonic = line.split()[0]
            assert not FLOAT.fullmatch(mnemonic), f"{function}: {line}"
            assert not DIVISION.fullmatch(mnemonic), f"{function}: {line}"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="reads x86-64 mnemonics")
@pytest.mark.parametrize("compiler", COMPILERS)
def test_sources_compile_for_a_processor_without_floats(exported, compiler):
    """With general registers only, a single float would be an error of the compiler."""
    code = disassemble(exported, compiler, "-mgeneral-regs-only")
    assert not any("xmm" in line for lines in code.values() for line in lines)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="reads x86-64 mnemonics")
def test_shifts_multiply_nothing(exported):
    """The loops over power-of-two weights, kept apart from the functions that call them."""
    code = disassemble(exported, COMPILERS[0], "-fno-inline")
    for name in ("shift_narrow", "shift_wide"):
        assert code[name]
        assert not any("mul" in line.split()[0] for line in code[name])


@pytest.fixture(scope="module")
def classifier(exported) -> Path:
    return build(exported, COMPILERS[0], *SANITIZERS)


def idx(*header: int) -> bytes:
    return struct.pack(f">{len(header)}I", *header)


def test_idx_files_are_read(classifier, power_of_two):
    images = random_images(power_of_two, 3)
    raw, labelled = classifier.parent / "a.raw", classifier.parent / "a.idx"
    raw.write_bytes(images.tobytes())
    for header in (idx(0x803, 3, 12, 12), idx(0x804, 3, 1, 12, 12)):
        labelled.write_bytes(header + images.tobytes())
        done = classify(classifier, "--idx", labelled)
        assert done.returncode == 0
        assert done.stdout == classify(classifier, raw).stdout


DAMAGED = {
    "empty": b"",
    "half_a_header": idx(0x803, 2)[:6],
    "another_magic": idx(0x801, 2, 12, 12) + bytes(288),
    "other_images": idx(0x803, 2, 28, 28) + bytes(288),
    "other_channels": idx(0x804, 2, 3, 12, 12) + bytes(288),
    "cut_off": idx(0x803, 2, 12, 12) + bytes(287),
    "too_short": idx(0x803, 3, 12, 12) + bytes(288),
    "too_long": idx(0x803, 1, 12, 12) + bytes(288),
    "billions": idx(0x803, 2**32 - 1, 12, 12) + bytes(288),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_idx_files_are_refused(classifier, tmp_path, damage):
    (tmp_path / "damaged").write_bytes(DAMAGED[damage])
    done = classify(classifier, "--idx", tmp_path / "damaged")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_truncated_raw_file_is_refused(classifier, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(144 * 2 - 1))
    done = classify(classifier, tmp_path / "raw")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "cut off" in done.stderr


@pytest.mark.parametrize(
    "arguments", [[], ["missing"], ["--idx"], ["a", "b"], ["."], ["--test", "a"]]
)
def test_wrong_arguments_are_refused(classifier, arguments):
    done = classify(classifier, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_lines_that_cannot_be_written_are_an_error(classifier, power_of_two):
    raw = classifier.parent / "two.raw"
    raw.write_bytes(random_images(power_of_two, 2).tobytes())
    for arguments in (f"'{raw}'", "--test"):
        for into in (">/dev/full", ">&-"):
            done = classify(Path("/bin/sh"), "-c", f"'{classifier}' {arguments} {into}")
            assert (done.returncode, done.stderr.count("\n")) == (2, 1), (arguments, into)


def test_another_weight_fails_the_test(exported, tmp_path):
    directory = tmp_path / "changed"
    shutil.copytree(exported, directory, ignore=shutil.ignore_patterns("classify", "*.o"))
    model = directory / "dyadic_model.c"
    text = model.read_text()
    start = text.index("dyadic_codes_stem[")
    place = text.index("= {\n", start) + 4
    end = text.index(",", place)
    other = int(text[place:end]) ^ 1
    model.write_text(f"{text[:place]}{other}{text[end:]}")
    done = classify(build(directory, COMPILERS[0]), "--test")
    assert done.returncode == 1
    assert "test failed" in done.stdout


def test_makefile_builds_the_classifier(exported, tmp_path):
    directory = tmp_path / "taken away"
    shutil.copytree(exported, directory, ignore=shutil.ignore_patterns("classify", "*.o"))
    done = subprocess.run(["make"], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "warning" not in done.stderr
    assert (directory / "classify").exists()
