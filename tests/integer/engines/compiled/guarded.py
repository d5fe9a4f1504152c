"""Run with guard pages: `python -m tests.integer.engines.compiled.guarded CASES`.

Every tensor of every image ends at a page that nobody may touch, so a read beyond it is a crash.
CASES is JSON: a list of [program, arguments, images], program a name of `PROGRAMS`. Every path of
this processor must give the reference's logits.
"""

import json
import sys

import numpy as np
from tests.integer.engines.compiled.test_layers import one_convolution
from tests.integer.random_programs import random_images, random_program
from tests.integer.resnet20 import resnet20

from dyadic.integer.engines.compiled import CompiledEngine, available_paths, build, layout, opened
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Flatten, Linear, Program, SumPool, Weights

PAGE = 4096


def classifier(size: int, classes: int, channels: int = 40) -> Program:
    """Sums over the image and a fully connected layer: the batch are its pixels."""
    rng = np.random.default_rng(classes)
    codes = rng.integers(0, 255, (classes, channels)).astype(np.uint8)
    weights = Weights(codes, np.arange(-127, 128), 8)
    window = (size, size)
    operations = (
        SumPool("sum", ("input",), window, window, (0, 0)),
        Flatten("flat", ("sum",)),
        Linear("logits", ("flat",), weights, np.arange(classes), dyadic(0.01), -(2**20), 2**20),
    )
    if size == 1:
        operations = (Flatten("flat", ("input",)), operations[2])
    return Program("classifier", (channels, size, size), operations, 1.0)


PROGRAMS = {
    "resnet20": resnet20,
    "classifier": classifier,
    "convolution": lambda **kind: one_convolution(**{k: _pair(v) for k, v in kind.items()}),
    "random": random_program,
}


def _pair(value):
    return tuple(value) if isinstance(value, list) else value


def main(cases: list) -> int:
    """How many of the cases are wrong."""
    build.FLAGS = (*build.FLAGS, "-DDY_GUARD", "-DDY_DEBUG", "-O1")
    for cache in (build.library, opened.bound):
        cache.cache_clear()
    layout.GUARD = PAGE
    wrong = 0
    for kind, arguments, count in cases:
        program = PROGRAMS[kind](**arguments)
        images = random_images(program, count)
        expected = ReferenceEngine(program).run(images)
        for path in available_paths():
            print(kind, arguments, count, path, flush=True)  # the last line is what crashed
            made = CompiledEngine(program, threads=2, path=path).run(images)
            wrong += not np.array_equal(made, expected)
    return wrong


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
