"""Models for CMSIS-NN: the program's integers, with its functions or with a double of them.

`CMSIS_NN=<a checkout of CMSIS-NN> pytest ...` compiles its own C; elsewhere the functions are those
of cmsis_double, written from its documentation.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.integer.random_programs import Builder, random_images

import dyadic
from dyadic.errors import UserError
from dyadic.integer.engines.compiled.cmsis import export_cmsis
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.program.dyadic import dyadic as dn
from dyadic.integer.program.operations import (
    Add,
    Concat,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Multiply,
    Normalize,
    Operation,
    Pad,
    Program,
    Relu,
    Requantize,
    SumPool,
    Threshold,
    Weights,
)
from dyadic.integer.program.requirements import ProgramError
from dyadic.models.cifar_resnet import resnet8

COMPILER = next(name for name in ("gcc", "clang", "cc") if shutil.which(name))
DOUBLE = Path(__file__).parent / "cmsis_double"
SINGLE = "-DCMSIS_NN_USE_SINGLE_ROUNDING"
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]

MAIN = """
#include "net_cmsis.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    static uint8_t image[NET_PIXELS];
    void *arena = malloc(NET_ARENA), *buffer = malloc((size_t)net_buffer_size());
    int32_t logits[NET_CLASSES], i;
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    const int wrong = !file || net_test(arena, buffer);
    while (file && fread(image, 1, sizeof image, file) == sizeof image) {
        printf("%d", net_classify(image, logits, arena, buffer));
        for (i = 0; i < NET_CLASSES; i++)
            printf(" %ld", (long)logits[i]);
        printf("\\n");
    }
    if (file)
        fclose(file);
    free(arena);
    free(buffer);
    return wrong;
}
"""


@cache
def functions() -> tuple[list[str], Path]:
    """Sources and headers of the functions."""
    if "CMSIS_NN" not in os.environ:
        return [str(DOUBLE / "arm_nnfunctions.c")], DOUBLE
    root = Path(os.environ["CMSIS_NN"])
    other = ("_f16", "_f32", "_flt", "lstm", "svdf")
    folders = ("Convolution", "FullyConnected", "Pooling", "BasicMath", "NNSupport")
    found = [path for name in folders for path in root.glob(f"Source/{name}Functions/*.c")]
    return [str(p) for p in found if not any(o in p.name for o in other)], root / "Include"


def assert_equal(program: Program, directory: Path) -> None:
    """Logits of the compiled model are the reference's, without a warning or a fault."""
    export_cmsis(program, directory, prefix="net")
    (directory / "main.c").write_text(MAIN)
    sources, include = functions()
    own = "CMSIS_NN" not in os.environ
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if own else ["-O1"]
    for path in ("net_cmsis.c", "main.c"):
        command = [COMPILER, *STRICT, *flags, SINGLE, f"-I{include}", "-c", path]
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    command = [COMPILER, *flags, SINGLE, f"-I{include}", "net_cmsis.o", "main.o", *sources]
    subprocess.run([*command, "-o", "run"], cwd=directory, check=True)
    images = random_images(program, 5)
    (directory / "images.raw").write_bytes(images.tobytes())
    environment = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
    done = subprocess.run(
        [directory / "run", directory / "images.raw"],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    logits = ReferenceEngine(program).run(images)
    expected = np.column_stack([logits.argmax(1), logits])
    assert np.array_equal(np.loadtxt(done.stdout.splitlines(), dtype=int, ndmin=2), expected)


@cache
def small_resnet(stream_bits: int) -> Program:
    """ResNet-8 with weights and activations of 8 bits."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    eight = {"weight": dyadic.Uniform(8), "activation": dyadic.Uniform(8)}
    network = dyadic.quantize(resnet8(10, 3, width=4), images, **eight)
    return dyadic.lower(network, Deployment(stream_bits=stream_bits))


def test_resnet8_of_8_bits(tmp_path):
    assert_equal(small_resnet(8), tmp_path)


def test_streams_of_16_bits_are_refused_by_name(tmp_path):
    with pytest.raises(ProgramError, match=r"'relu_quant' \(Requantize\): CMSIS-NN: 'conv1', 0 to"):
        export_cmsis(small_resnet(16), tmp_path)
    assert not list(tmp_path.iterdir())


def weights(rng: np.random.Generator, *shape: int) -> Weights:
    return Weights(rng.integers(0, 256, shape).astype(np.uint8), np.arange(-128, 128), 8)


def chain(seed: int) -> Program:
    """Every operation that CMSIS-NN has, with odd geometry and offsets."""
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(7, 12, 2).tolist()
    rate = lambda reach: dn(rng.uniform(0.5, 2, 6) * 90 / reach)  # noqa: E731
    layer = lambda name, source, shape, reach, lo, hi, **more: Conv(  # noqa: E731
        name, (source,), weights(rng, *shape), rng.integers(-999, 999, shape[0]), rate(reach),
        lo, hi, **more,
    )  # fmt: skip
    made: list[Operation] = [
        Normalize("pixels", ("input",), rng.integers(-9999, 9999, 3), dn(1 / 256), -100, 140),
        layer("0", "pixels", (6, 3, 3, 2), 30000, 0, 255, stride=(2, 1), padding=(1, 0)),
        layer("grouped", "0", (6, 3, 3, 3), 60000, -60, 180, padding=(1, 1), groups=2),
        layer("depth-wise", "grouped", (6, 1, 3, 3), 30000, -128, 127, padding=(1, 1), groups=6),
        layer("dilated", "grouped", (6, 6, 2, 2), 60000, -90, 90, dilation=(2, 2), padding=(1, 1)),
        Requantize("side", ("depth-wise",), dn(float(rng.uniform(0.3, 1.4))), -120, 120),
        Add("wide", ("side", "dilated"), -150, 170),
        Requantize("sum", ("wide",), dn(0.61), -77, 100),
        Relu("relu", ("sum",)),
        Multiply("product", ("relu", "sum"), dn(0.013), -20, 127),
        Concat("both", ("product", "relu")),
        Pad("padded", ("both",), (1, 0, 2, 1)),
        MaxPool("max", ("padded",), (3, 2), (2, 2), (1, 1), True),
        SumPool("pool", ("max",), (2, 2), (1, 1), (1, 0)),
        Requantize("mean", ("pool",), dn(0.26), -20, 100),
        Flatten("flat", ("mean",)),
    ]
    features = ReferenceEngine(Program("p", (3, rows, columns), tuple(made), 1.0)).proof.shapes
    last = Linear(
        "logits", ("flat",), weights(rng, 5, *features["flat"]), rng.integers(-999, 999, 5),
        dn(rng.uniform(0.5, 1, 5) / 300), -128, 127,
    )  # fmt: skip
    return Program("chain", (3, rows, columns), (*made, last), 1.0)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12))]
)
def test_every_function_and_offset(tmp_path, seed):
    assert_equal(chain(seed), tmp_path)


def changed(change: Callable[[Operation], Operation | None], kind: type, index: int = 0) -> Program:
    """The chain with the index-th operation of a kind changed."""
    program = chain(0)
    places = [i for i, o in enumerate(program.operations) if type(o) is kind]
    made = list(program.operations)
    made[places[index]] = change(made[places[index]])
    return replace(program, operations=tuple(made))


def more(operation: Operation) -> Program:
    """The chain on which one more operation reads an early tensor, before the last layer."""
    program = chain(0)
    return replace(
        program, operations=(*program.operations[:-1], operation, program.operations[-1])
    )


def inq(operation: Conv) -> Conv:
    shifts = 1 << np.arange(8)
    levels = np.concatenate([-shifts[::-1], [0], shifts])
    codes = operation.weights.codes % len(levels)
    codes.flat[0] = len(levels) - 1
    return replace(operation, weights=Weights(codes, levels, 5))


REFUSED = {
    "'0' \\(Conv\\): CMSIS-NN: weights -128 to 128": changed(inq, Conv),
    "'t' \\(Threshold\\): CMSIS-NN has no such function": more(
        Threshold("t", ("0",), np.array([3]), np.array([0, 1]))
    ),
    "cut off at the border": changed(lambda o: replace(o, ceil=True), SumPool),
    "does not fit 8 bits": changed(lambda o: replace(o, lo=-200, hi=200), Conv),
    "logits', -30000 to 30000, does not fit": changed(
        lambda o: replace(o, lo=-30000, hi=30000, scale=dn(9.0)), Linear
    ),
    "leaves 32 bits": changed(lambda o: replace(o, scale=dn(2.0**20)), Conv),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_it_cannot_hold_is_refused_by_name(tmp_path, message):
    with pytest.raises(ProgramError, match=message):
        export_cmsis(REFUSED[message], tmp_path)
    assert not list(tmp_path.iterdir())


def test_planes_of_sqrt2_are_refused(tmp_path):
    builder = Builder(np.random.default_rng(0), (2, 4, 4))
    while not builder.operations or getattr(builder.operations[-1], "odd", None) is None:
        builder.operations.clear()
        name = builder.conv("input")
    with pytest.raises(ProgramError, match="planes of sqrt"):
        export_cmsis(builder.program(Flatten("flat", (name,))), tmp_path)


def test_a_prefix_that_is_no_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="prefix="):
        export_cmsis(chain(0), tmp_path, prefix="1")
