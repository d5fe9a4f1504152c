"""What the parts of layers cost on this machine: measured once, and kept beside the library.

Every way to compute a layer gives the same integers, so prices decide about time alone.
"""

import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from dyadic.integer.engines.compiled import binding
from dyadic.integer.engines.compiled.build import library
from dyadic.integer.engines.compiled.choose import Prices, parts
from dyadic.integer.engines.compiled.opened import Opened
from dyadic.integer.engines.compiled.sets import SETS, cpu_lines
from dyadic.integer.engines.compiled.winograd import ALGORITHMS
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import Conv, Flatten, Normalize, Program, Weights
from dyadic.record.files import write_atomically
from dyadic.record.fingerprint import of_file
from dyadic.record.places import cache_directory

LAYERS = ((64, 64, 28), (256, 64, 12), (64, 256, 12), (256, 256, 8))  # inputs, outputs, pixels
PROFILES = 5  # other work on the machine counts little in the least of them
OTHERS = 2**25  # bytes that other layers touch in between
DECISIVE = 1e12  # no layer costs as much


@cache
def prices_of(path: str) -> Prices:
    """The prices of an instruction set on this machine, which has it."""
    if not SETS[path].dots:
        return SETS[path].prices
    name = f"{path}-{of_file(library(path))}-{_processor()}.json"
    file = cache_directory() / name
    kept = _read(file)
    if kept.keys() == SETS[path].prices.keys():
        return kept
    measured = measure_prices(path)
    with suppress(OSError), write_atomically(file) as temporary:  # a full disk costs a measurement
        temporary.write_text(json.dumps(measured), encoding="utf-8")
    return measured


def preferring(path: str, points: int) -> Prices:
    """Prices by which layers go by Winograd's algorithm of so many points, or none for 0."""
    prices = SETS[path].prices
    reads = {key: DECISIVE for key in prices if key.startswith("read")}
    return prices | reads | ({f"read{points}": -DECISIVE} if points else {})


def measure_prices(path: str) -> dict[str, float]:
    """Nanoseconds of every part, from some layers by every way that there is."""
    names = list(SETS[path].prices)
    counts, times = [], []
    for layer, points in _probes():
        proof = prove(layer)
        opened = Opened(proof, path, prices=preferring(path, points))
        conv = proof.program.operations[1]
        assert isinstance(conv, Conv)
        made = parts(conv, opened.steps.choices["conv"], proof, SETS[path])
        counts.append([made.get(name, 0) for name in names])
        times.append(_least(opened, proof))
    return dict(
        zip(names, fit_prices(np.array(counts, float), np.array(times)).tolist(), strict=True)
    )


def fit_prices(counts: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Prices [parts], none negative, so that `counts @ prices` is near the times, relatively."""
    rows = counts / times[:, None]
    kept = np.any(rows, axis=0, keepdims=True)[0]
    while True:
        prices = np.zeros(len(kept))
        scale = rows[:, kept].max(0)
        prices[kept] = np.linalg.lstsq(rows[:, kept] / scale, np.ones(len(rows)))[0] / scale
        if (prices >= 0).all():
            return prices
        kept &= prices > 0


def _probes() -> Iterator[tuple[Program, int]]:
    """Layers, and the points of the algorithm that computes them."""
    for inputs, outputs, size in LAYERS:
        narrow = _layer(inputs, outputs, size, largest=7)
        yield from ((narrow, points) for points in (0, *(a.points for a in ALGORITHMS)))
        yield _layer(inputs, outputs, size, largest=1000), 0  # 16 bits, directly


def _layer(inputs: int, outputs: int, size: int, largest: int) -> Program:
    """A convolution of 3 x 3 on codes of 4 bits."""
    scale = dyadic(np.full(inputs, 15 / 65280))
    codes = np.random.default_rng(0).choice([0, 2 * largest], (outputs, inputs, 3, 3))
    weights = Weights(codes.astype(np.uint16), np.arange(-largest, largest + 1), 11)
    bias, ratio = np.zeros(outputs, np.int64), dyadic(np.full(outputs, 1e-3))
    operations = (
        Normalize("codes", ("input",), np.zeros(inputs, np.int64), scale, 0, 15),
        Conv("conv", ("codes",), weights, bias, ratio, 0, 15, padding=(1, 1)),
        Flatten("logits", ("conv",)),
    )
    return Program("probe", (inputs, size, size), operations, 1.0)


def _least(opened: Opened, proof: Proof) -> int:
    """Nanoseconds of the layer, whose weights are in no near cache, as between other layers."""
    images = np.zeros((1, *proof.program.input_shape), np.uint8)
    layer = [step.kind for step in opened.steps.steps].index(binding.STEPS.index("gemm"))
    others = np.zeros(OTHERS, np.uint8)
    times = []
    for _ in range(PROFILES):
        others += 1
        times.append(int(opened.profile(images, threads=1)[layer]))
    return min(times)


def _read(file: Path) -> dict[str, float]:
    try:
        kept = json.loads(file.read_text("utf-8"))
        return {str(name): float(price) for name, price in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _processor() -> str:
    """A hash of what this machine's processor says that it is."""
    names = {x for x in cpu_lines() if x.startswith(("model", "cpu family", "stepping", "CPU "))}
    names |= {platform.machine(), platform.processor()}
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]
