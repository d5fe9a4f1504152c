"""The exported C sources: equal to the reference, without warnings, floats, divisions or faults."""

import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.random_programs import Builder, programs, random_images
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import export_c
from dyadic.integer.engines.compiled.rows import NEGATIVE, ZERO, shift_codes
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.operations import Concat, Flatten, Program

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
SANITIZERS = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SOURCES = ("main.c", "dyadic_model.c", "dyadic_kernels.c")


def build(directory: Path, compiler: str, *flags: str) -> Path:
    """Compile the exported sources; a warning is an error."""
    made = directory / "classify"
    sources = [str(directory / name) for name in SOURCES]
    command = [compiler, *STRICT, *flags, "-o", str(made), *sources]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return made


def classify(classifier: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(classifier), *map(str, arguments)]
    # Another LD_PRELOAD in front of the sanitizer's library would be an error of its own.
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def assert_classifies(classifier: Path, program: Program, images: np.ndarray) -> None:
    """Every line is the reference's class and logits; nothing on stderr."""
    raw = classifier.parent / "images.raw"
    raw.write_bytes(images.tobytes())
    done = classify(classifier, raw)
    assert (done.returncode, done.stderr) == (0, "")
    logits = ReferenceEngine(program).run(images)
    expected = np.column_stack([logits.argmax(1), logits])
    assert np.array_equal(np.loadtxt(done.stdout.splitlines(), dtype=int, ndmin=2), expected)


@pytest.mark.parametrize("compiler", COMPILERS)
@given(program=programs())
@settings(max_examples=5, deadline=None)
def test_sanitized_sources_equal_the_reference(tmp_path_factory, compiler, program):
    directory = tmp_path_factory.mktemp("c")
    export_c(program, directory)
    classifier = build(directory, compiler, *SANITIZERS)
    assert_classifies(classifier, program, random_images(program, 3))


def test_a_concatenation_within_another_is_declared_once(tmp_path):
    """Its parts are written to the outer one's channels, so a tensor of its own has no use."""
    builder = Builder(np.random.default_rng(0), (2, 4, 4))
    parts = [builder.conv("input", outputs=2, same_size=True) for _ in range(3)]
    inner = builder.add(Concat("inner", tuple(parts[:2])))
    outer = builder.add(Concat("outer", (inner, parts[2])))
    program = builder.program(Flatten("logits", (outer,)))
    export_c(program, tmp_path)
    model = (tmp_path / "dyadic_model.c").read_text()
    declared = re.findall(r"^static (?:const )?\w+ (\w+)[ \[]", model, re.MULTILINE)
    assert [name for name in declared if len(re.findall(rf"\b{name}\b", model)) < 2] == []
    for compiler in COMPILERS:
        assert_classifies(build(tmp_path, compiler), program, random_images(program, 3))


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
    assert "DY_WEIGHTS" not in model
    assert not re.search(r"static const int8_t array\d+\[\d{3,}\]", model), "weights of a product"
    classifier = build(exported, compiler, "-O2")
    assert_classifies(classifier, power_of_two, random_images(power_of_two, 4))


def test_shift_codes_hold_sign_exponent_and_zero():
    codes = shift_codes(np.array([1, -1, 0, 128, -(2**31), 2]))
    assert codes.tolist() == [0, NEGATIVE, ZERO, 7, 31 | NEGATIVE, 1]


def disassemble(directory: Path, compiler: str, *flags: str) -> dict[str, list[str]]:
    """Instructions of the model and its kernels by function, as objdump prints them."""
    functions: dict[str, list[str]] = {}
    for source in SOURCES[1:]:
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


@pytest.mark.parametrize("arguments", [[], ["missing"], ["--idx"], ["a", "b"], ["."]])
def test_wrong_arguments_are_refused(classifier, arguments):
    done = classify(classifier, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_makefile_builds_the_classifier(exported, tmp_path):
    directory = tmp_path / "taken away"
    shutil.copytree(exported, directory, ignore=shutil.ignore_patterns("classify", "*.o"))
    done = subprocess.run(["make"], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "warning" not in done.stderr
    assert (directory / "classify").exists()
