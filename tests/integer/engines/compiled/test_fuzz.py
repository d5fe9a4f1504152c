"""Random layers, on every path, by every algorithm that the bounds allow, equal the reference."""

import numpy as np
import pytest
from tests.integer.engines.compiled.random_layers import random_layer
from tests.integer.random_programs import random_images

from dyadic.integer.engines.compiled import CompiledEngine, available_paths
from dyadic.integer.engines.compiled.choose import choose
from dyadic.integer.engines.compiled.prices import preferring
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.engines.compiled.winograd import ALGORITHMS
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import prove

PREFERRED = (0, *(algorithm.points for algorithm in ALGORITHMS))  # or the direct way


def wrong(seeds) -> tuple[int, list]:
    """How many layers ran, and which of them are wrong: (seed, path, algorithms)."""
    runs, bad = 0, []
    for seed in seeds:
        program = random_layer(seed)
        images = random_images(program, 2, seed)
        expected = ReferenceEngine(program).run(images)
        for path in available_paths():
            known = set()
            for points in PREFERRED:
                prices = preferring(path, points)
                engine = CompiledEngine(program, 1 + seed % 3, path, prices)  # threads
                algorithms = tuple(engine.algorithms.values())
                if algorithms not in known:
                    known.add(algorithms)
                    runs += 1
                    if not np.array_equal(engine.run(images), expected):
                        bad.append((seed, path, algorithms))
    return runs, bad


def test_random_layers_equal_the_reference():
    runs, bad = wrong(range(60))
    assert runs > 60
    assert bad == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_random_layers_on_every_path(part):
    assert wrong(range(1000 * part, 1000 * (part + 1)))[1] == []


def test_every_algorithm_is_met():
    met: set[str] = set()
    for proof in map(prove, map(random_layer, range(60))):
        for path in available_paths():
            for points in PREFERRED:
                prices = preferring(path, points)
                planned = choose(proof.program, proof, SETS[path], prices)
                met.update(choice.algorithm for choice in planned.layers.values())
    assert {"direct", "depthwise"} <= met or available_paths() == ("portable",)
    named = {algorithm.name for algorithm in ALGORITHMS}
    assert named <= met or available_paths() == ("portable",)
