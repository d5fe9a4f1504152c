"""`python -m dyadic latency RUN`: each layer of a run, timed on this machine's integer kernels."""

import platform
import time
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from dyadic.allocation.cost import Bits, LayerCost
from dyadic.allocation.latency import LatencyTable, measure
from dyadic.integer.bounds import Proof, prove
from dyadic.integer.compiled import CompiledEngine
from dyadic.integer.files import load
from dyadic.integer.program import Conv, Flatten, Linear, Program, Weights

CHOICES: tuple[Bits, ...] = ((4, 4), (4, 8), (8, 4), (8, 8))
CALLS = 20  # of one timing; the smallest counts


def measure_run(directory: Path, out: Path | None) -> str:
    """Time every layer of a run's program at 4 and 8 bits; writes the table, returns where.

    Raises UserError for damaged program files, CompilerNotFound without a C compiler.
    """
    program = load(directory)
    proof = prove(program)
    layers = {o.name: o for o in program.operations if isinstance(o, Linear)}
    costs = [_cost(layer, proof) for layer in layers.values()]

    def milliseconds(cost: LayerCost, bits: Bits) -> float:
        return _time(_alone(layers[cost.name], proof, bits))

    device = f"{platform.processor() or platform.machine()}, compiled engine, batch 1"
    table: LatencyTable = measure(device, costs, CHOICES, milliseconds)
    path = out or directory / "latency.csv"
    table.write(path)
    useful = sum(row.faster for row in table.rows if row.bits != (8, 8))
    return f"{path}: {len(costs)} layers; {useful} of the narrower widths are faster than 8/8"


def _cost(layer: Linear, proof: Proof) -> LayerCost:
    """Weights and MACs of one layer of the program."""
    codes, shape = layer.weights.codes, proof.shapes[layer.name]
    text = "x".join(map(str, codes.shape)) + "@" + "x".join(map(str, shape[1:]))
    return LayerCost(layer.name, codes.size, codes.size * prod(shape[1:]), text)


def _alone(layer: Linear, proof: Proof, bits: Bits) -> Program:
    """A program of this layer alone, on uint8 codes, with random weights of `bits`."""
    shape = proof.shapes[layer.inputs[0]]
    half = 2 ** (bits[0] - 1)
    codes = np.random.default_rng(0).integers(0, 2 * half - 1, layer.weights.codes.shape)
    weights = Weights(codes.astype(np.uint8), np.arange(1 - half, half), bits[0])
    first = ("input",)
    inputs = first if isinstance(layer, Conv) else ("flat",)
    alone = replace(layer, inputs=inputs, weights=weights, odd=None, lo=0, hi=2 ** bits[1] - 1)
    if isinstance(layer, Conv):
        flat = Flatten("flat", (layer.name,))  # a program ends in a vector
        return Program(layer.name, (shape[0], shape[1], shape[2]), (alone, flat), logit_scale=1.0)
    flat = Flatten("flat", first)
    return Program(layer.name, (shape[0], 1, 1), (flat, alone), logit_scale=1.0)


def _time(program: Program) -> float:
    """Milliseconds of one call, the smallest of several."""
    engine = CompiledEngine(program)
    image = np.zeros((1, *program.input_shape), dtype=np.uint8)
    times = []
    for _ in range(CALLS):
        started = time.perf_counter()
        engine.run(image)
        times.append(time.perf_counter() - started)
    return 1000 * min(times)
