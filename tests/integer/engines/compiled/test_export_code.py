"""What compilers make of the exported sources: no floats, no divisions, no stack unannounced."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.integer.engines.compiled.exported import (
    COMPILERS,
    SOURCES,
    STRICT,
    assert_classifies,
    build,
)
from tests.integer.random_programs import random_images

from dyadic.integer.engines.compiled.rows import NEGATIVE, ZERO, shift_codes

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
