"""`python -m dyadic latency RUN`: each layer of a run, timed on this machine's integer kernels.

Only the layers' shapes matter, so a run that hardly trains will do. `results/latency/resnet18_*`
is of `run.py method=hawq_v3 bits=8 schedule=none model=resnet18 dataset=synthetic` with
`dataset.source.size=28`, `.train_images=64` and `.test_images=16`.
"""

import platform
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from dyadic.allocation.cost import LayerCost
from dyadic.allocation.latency import LatencyTable, Timer, measure
from dyadic.errors import check_least
from dyadic.integer.engines.compiled import CompiledEngine
from dyadic.integer.engines.compiled.sets import available_paths, cpu_lines
from dyadic.integer.program import operations as ops
from dyadic.integer.program.bounds import Proof
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.files import load_proof
from dyadic.network.insert import Bits

WIDTHS: tuple[Bits, ...] = ((4, 4), (4, 8), (8, 4), (8, 8))
AT_ONCE = 8  # of one call, as many as the engine keeps together
TRIES = 5  # of one timing; the smallest counts
PRODUCTS = ("gemm", "convolve")  # kinds of the steps of layers


def measure_run(directory: Path, out: Path | None, threads: int = 1) -> str:
    """Time every layer of a run's program at 4 and 8 bits; writes the table, returns what it says.

    Milliseconds are for one image of eight that run together. Raises UserError for damaged program
    files and fewer than one thread, CompilerNotFound without a C compiler.
    """
    check_least(1, threads=threads)
    proof = load_proof(directory)
    layers = {o.name: o for o in proof.program.operations if isinstance(o, ops.Linear)}
    costs = [_cost(layer, proof) for layer in layers.values()]

    def prepare(cost: LayerCost, bits: Bits) -> Timer:
        return _timer(_alone(layers[cost.name], proof, bits), threads)

    counted = "1 thread" if threads == 1 else f"{threads} threads"
    device = f"{processor()}, {available_paths()[0]} kernels, {counted}, {AT_ONCE} images at once"
    table: LatencyTable = measure(device, costs, WIDTHS, prepare)
    path = out or directory / "latency.csv"
    table.write(path)
    narrower = [row for row in table.rows if row.bits != (8, 8)]
    useful = sum(row.faster for row in narrower)
    gain = f"{useful} of {len(narrower)} narrower widths are faster than every wider one"
    return f"{path}: {len(costs)} layers on {device}; {gain}"


def processor() -> str:
    """The processor's name."""
    named = (line.partition(":")[2].strip() for line in cpu_lines() if line[:10] == "model name")
    return next(named, platform.processor() or platform.machine())


def _cost(layer: ops.Linear, proof: Proof) -> LayerCost:
    """Weights and MACs of one layer of the program."""
    codes, shape = layer.weights.codes, proof.shapes[layer.name]
    text = "x".join(map(str, codes.shape)) + "@" + "x".join(map(str, shape[1:]))
    return LayerCost(layer.name, codes.size, codes.size * prod(shape[1:]), text)


def _alone(layer: ops.Linear, proof: Proof, bits: Bits) -> ops.Program:
    """A program of this layer alone, on codes of `bits` and with random weights of `bits`."""
    shape = proof.shapes[layer.inputs[0]]
    half, top = 2 ** (bits[0] - 1), 2 ** bits[1] - 1
    scale = dyadic(np.full(shape[0], top / 65280))  # of pixels in 1/256
    read = ops.Normalize("codes", ("input",), np.zeros(shape[0], np.int64), scale, 0, top)
    codes = np.random.default_rng(0).integers(0, 2 * half - 1, layer.weights.codes.shape)
    weights = ops.Weights(codes.astype(np.uint8), np.arange(1 - half, half), bits[0])
    inputs = ("codes",) if isinstance(layer, ops.Conv) else ("flat",)
    alone = replace(layer, inputs=inputs, weights=weights, odd=None, lo=0, hi=top)
    if isinstance(layer, ops.Conv):
        flat = ops.Flatten("flat", (layer.name,))  # a program ends in a vector
        made = (read, alone, flat)
        return ops.Program(layer.name, (shape[0], shape[1], shape[2]), made, logit_scale=1.0)
    flat = ops.Flatten("flat", ("codes",))
    return ops.Program(layer.name, (shape[0], 1, 1), (read, flat, alone), logit_scale=1.0)


def _timer(program: ops.Program, threads: int) -> Timer:
    """Milliseconds of one image in the layer's own step, the smallest of several.

    Every timing has an engine of its own: where its memory lies changes the time by a percent or
    two, which must count as noise and not as the work of a width.
    """
    shape = (AT_ONCE, *program.input_shape)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def timed() -> float:
        engine = CompiledEngine(program, threads)
        profiles = (engine.profile(images) for _ in range(TRIES))
        times = [sum(ns for _, kind, ns in p if kind in PRODUCTS) for p in profiles]
        return min(times) / AT_ONCE / 1e6

    return timed
