"""Where the compiled engine's time goes: cycles of every layer, against what its products need.

At two dot products of a vector a cycle (of bytes, or of 16 bits): those of a direct convolution,
with nothing lost to padding, and those that its algorithm makes, padding and borders included. The
rest is what is transformed, rescaled, read and stored. Minima over rounds, so that other work on
the machine counts little.
`python benchmarks/steps.py [--network resnet18] [--bits 8 4] [--batch 1] [--path avx512vnni]`;
`--algorithms` runs every 3 x 3 layer by each algorithm that is exact for it, in turns.
"""

import argparse
import ctypes
import subprocess
import tempfile
import time
from ctypes import Structure
from itertools import product
from pathlib import Path

import numpy as np
from networks import NETWORKS, integer_program

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.engines.compiled.build import find_compiler
from dyadic.integer.engines.compiled.layout import LINE
from dyadic.integer.engines.compiled.prices import preferring
from dyadic.integer.engines.compiled.winograd import ALGORITHMS
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.operations import Linear, Program

VECTOR_BYTES = {"avx512vnni": 64, "avxvnni": 32, "avx2": 32, "neon_dotprod": 16, "portable": 16}
VECTORS_A_CYCLE = 2
CHAIN = 10**5  # short: other work on the machine does not get between
CLOCK = """
long chain(long n) { while (n--) __asm__ volatile("" : "+r"(n)); return n; }
"""


def cycles_a_nanosecond() -> float:
    """The processor's clock, from a chain of additions that takes a cycle each."""
    with tempfile.TemporaryDirectory() as folder:
        source, built = Path(folder) / "clock.c", Path(folder) / "clock.so"
        source.write_text(CLOCK)
        command = [find_compiler(), "-O1", "-shared", "-fPIC", str(source), "-o", str(built)]
        subprocess.run(command, check=True)
        chain = ctypes.CDLL(str(built)).chain
        chain.argtypes = [ctypes.c_long]
        times = []
        for _ in range(1000):
            started = time.perf_counter_ns()
            chain(CHAIN)
            times.append(time.perf_counter_ns() - started)
    return CHAIN / min(times)


def products(operation: Linear, proof: Proof) -> int:
    """Multiplications of an image."""
    pixels = int(np.prod(proof.shapes[operation.name][1:]))
    return pixels * operation.weights.codes.size


def bound(operation: Linear, engine: CompiledEngine) -> float:
    """Cycles that the layer's products need."""
    choice = engine._planned.steps.choices.get(operation.name)
    item = 1 if choice is None or choice.unit == "dot8" else 2
    together = VECTOR_BYTES[engine.path] // item * VECTORS_A_CYCLE
    return products(operation, engine.proof) / together


def needed(step: Structure, operation: Linear, engine: CompiledEngine) -> float:
    """Cycles of the products that its algorithm makes of an image."""
    gemm, shape = step.gemm, engine.proof.shapes[operation.name][1:]
    patches = np.prod([-(-size // max(gemm.patch, 1)) for size in shape])
    lines = int(patches) * max(gemm.points, 1) ** 2 * gemm.words * gemm.blocks
    return lines * (LINE / VECTOR_BYTES[engine.path]) / VECTORS_A_CYCLE


def minima(engine: CompiledEngine, images: np.ndarray, rounds: int) -> list[tuple[str, str, int]]:
    """The steps with their least nanoseconds."""
    profiles = [engine.profile(images) for _ in range(rounds)]
    least = np.min([[spent for *_, spent in profile] for profile in profiles], axis=0)
    return [(name, kind, int(ns)) for (name, kind, _), ns in zip(profiles[0], least, strict=True)]


def table(engine: CompiledEngine, images: np.ndarray, rounds: int) -> str:
    """Markdown: thousands of cycles an image of each step, of its products directly, of those that
    its algorithm makes, and what they take in multiples of these.
    """
    clock = cycles_a_nanosecond() / len(images)
    layers = {op.name: op for op in engine.program.operations if isinstance(op, Linear)}
    hosts = {  # a fused step is named after what it stores
        id(step): name
        for name, step in zip(_layers_in_order(engine), _products(engine), strict=True)
    }
    rows: list[tuple[str, str, tuple[float, float, float]]] = []
    for step, (name, kind, spent) in zip(
        engine._planned.steps.steps, minima(engine, images, rounds), strict=True
    ):
        layer = layers.get(hosts.get(id(step), name))
        if layer is None:
            rows.append((name, kind, (spent * clock, 0.0, 0.0)))
        else:
            cycles = (spent * clock, bound(layer, engine), needed(step, layer, engine))
            rows.append((layer.name, engine.algorithms[layer.name], cycles))
    all_three = [sum(column) for column in zip(*(cycles for *_, cycles in rows), strict=True)]
    lines = ["| step | algorithm | k cycles | products, directly | by its algorithm | ratio |"]
    lines.append("|---|---|--:|--:|--:|--:|")
    for name, kind, cycles in [*rows, ("all", "", all_three)]:
        shown = [f"{c / 1000:.0f}" if c else "" for c in cycles]
        shown.append(f"{cycles[0] / cycles[2]:.2f}" if cycles[2] else "")
        lines.append(f"| {' | '.join([name, kind, *shown])} |")
    return "\n".join(lines)


def _products(engine: CompiledEngine) -> list:
    return [step for step in engine._planned.steps.steps if step.gemm.blocks]


def _layers_in_order(engine: CompiledEngine) -> list[str]:
    choices = engine._planned.steps.choices
    return [op.name for op in engine.program.operations if op.name in choices]


def algorithms(program: Program, path: str, images: np.ndarray, rounds: int) -> str:
    """Markdown: every 3 x 3 layer's time by each algorithm, relative to the direct way."""
    ways = [0, *(algorithm.points for algorithm in ALGORITHMS)]
    engines = [CompiledEngine(program, 1, path, preferring(path, points)) for points in ways]
    spent = [
        [[ns for *_, ns in engine.profile(images)] for engine in engines] for _ in range(rounds)
    ]
    least = np.min(spent, axis=0)
    chosen = CompiledEngine(program, 1, path).algorithms
    titles = " | ".join(algorithm.name for algorithm in ALGORITHMS)
    lines = [
        f"| layer | direct, us | {titles} | chosen |",
        "|---|--:|" + "--:|" * len(ALGORITHMS) + "---|",
    ]
    steps = [i for i, step in enumerate(engines[0]._planned.steps.steps) if step.gemm.blocks]
    for index, name in zip(steps, _layers_in_order(engines[0]), strict=True):
        named = [engine.algorithms[name] for engine in engines]
        if len(set(named)) > 1:
            direct, *others = least[:, index]
            ratios = [
                f"{ns / direct:.2f}" if own != named[0] else ""
                for ns, own in zip(others, named[1:], strict=True)
            ]
            row = (name, f"{direct / 1000 / len(images):.0f}", *ratios, chosen[name])
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=NETWORKS, nargs="*", default=["resnet18", "resnet50"])
    parser.add_argument("--bits", type=int, nargs="*", default=[8, 4], help="W and A")
    parser.add_argument("--path", choices=available_paths(), default=available_paths()[0])
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--algorithms", action="store_true", help="compare them")
    choice = parser.parse_args()
    for network, bits in product(choice.network, choice.bits):
        program = integer_program(network, bits)
        for batch in choice.batch:
            shape = (batch, *NETWORKS[network][1])
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            print(f"### {network}, W{bits}A{bits}, {choice.path}, batch {batch}, one thread\n")
            if choice.algorithms:
                print(algorithms(program, choice.path, images, choice.rounds), flush=True)
            else:
                engine = CompiledEngine(program, 1, choice.path)
                print(table(engine, images, choice.rounds), flush=True)
            print()


if __name__ == "__main__":
    main()
