"""The exported C sources: equal to the reference, wherever and beside whatever they are built."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from tests.integer.engines.compiled.exported import (
    COMPILERS,
    SANITIZED,
    SANITIZERS,
    STRICT,
    assert_classifies,
    build,
    classify,
)
from tests.integer.random_programs import Builder, programs, random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.errors import UserError
from dyadic.integer.engines.compiled import export_c
from dyadic.integer.program.files import stored_bytes
from dyadic.integer.program.operations import Concat, Flatten

FLAGS = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
FAST = {"avx512_vnni": ["-mavx512bw", "-mavx512vnni"], "avx2": ["-mavx2"]}
FASTER = [flags for unit, flags in FAST.items() if unit in FLAGS]


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
