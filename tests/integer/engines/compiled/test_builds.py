"""The engine built for other machines and under sanitizers gives the reference's logits."""

import shutil
import subprocess

import numpy as np
import pytest
from tests.integer.engines.compiled.plans import HERE, build, links, run
from tests.integer.engines.compiled.test_layers import CONVOLUTIONS, one_convolution
from tests.integer.random_programs import random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import available_paths
from dyadic.integer.engines.compiled.build import SOURCES
from dyadic.integer.engines.reference import ReferenceEngine

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
DELAY = 2000  # empty loops between the stores of a job


def build_pool(directory, *flags):
    """The pool's stress, with time between its stores."""
    made = directory / "pool"
    sources = [str(HERE / "pool_stress.c"), str(SOURCES / "dyadic_pool.c")]
    options = ["-O2", "-pthread", f"-I{SOURCES}", f"-DDY_POOL_DELAY={DELAY}", *flags]
    subprocess.run(["gcc", *options, *sources, "-o", str(made)], check=True)
    return made


@pytest.mark.skipif("gcc" not in COMPILERS, reason="needs gcc")
def test_every_task_of_the_pool_runs_once(tmp_path):
    subprocess.run([build_pool(tmp_path), "4", "100000"], check=True)


@pytest.mark.slow
@pytest.mark.skipif("gcc" not in COMPILERS, reason="needs gcc")
def test_the_pool_races_nowhere(tmp_path):
    if not links("gcc", "-fsanitize=thread", directory=tmp_path):
        pytest.skip("gcc links nothing with -fsanitize=thread here")
    made = build_pool(tmp_path, "-g", "-fsanitize=thread")
    done = subprocess.run([made, "4", "100000"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def programs():
    """One of each kind of layer, random programs, a residual network."""
    yield from (one_convolution(**kind) for kind in CONVOLUTIONS.values())
    yield from map(random_program, range(60))
    yield resnet20(size=16)
    yield resnet20(size=16, bits=8)


def assert_equal(command, path, directory):
    for program in programs():
        images = random_images(program, 3)
        made = run(command, program, path, images, directory / "plan")
        assert np.array_equal(made, ReferenceEngine(program).run(images)), program


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
@pytest.mark.parametrize("path", available_paths())
def test_sanitizers_have_nothing_to_say(tmp_path, compiler, sanitizer, path):
    flags = (f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-O1", "-g", "-DDY_DEBUG")
    if not links(compiler, *flags, directory=tmp_path):
        pytest.skip(f"{compiler} links nothing with -fsanitize={sanitizer} here")
    # Wrapping around is meant, where the bounds say that the sum comes back.
    made = build(compiler, path, tmp_path, *flags, "-fno-sanitize=signed-integer-overflow,shift")
    assert_equal([str(made)], path, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("path", ["neon_dotprod", "portable"])
def test_arm_gives_the_same_integers(tmp_path, path):
    compiler = "aarch64-linux-gnu-gcc"
    if not links(compiler, "-static", directory=tmp_path) or not shutil.which("qemu-aarch64"):
        pytest.skip("needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user")
    made = build(compiler, path, tmp_path, "-static", "-DDY_DEBUG")
    assert_equal(["qemu-aarch64", str(made)], path, tmp_path)
