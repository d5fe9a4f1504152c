"""Random layers, on every path, by every algorithm that the bounds allow, equal the reference."""

import numpy as np
import pytest
from tests.integer.engines.compiled.random_layers import random_layer
from tests.integer.random_programs import random_images

from dyadic.integer.engines.compiled import CompiledEngine, available_paths, choose
from dyadic.integer.engines.compiled.sets import SETS
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import prove

PREFERRED = (0, 2, 4)  # m of F(m x m, 3 x 3), or the direct way


def wrong(seeds, monkeypatch) -> tuple[int, list]:
    """How many layers ran, and which of them are wrong: (seed, path, algorithms)."""
    runs, bad = 0, []
    for seed in seeds:
        program = random_layer(seed)
        images = random_images(program, 2, seed)
        expected = ReferenceEngine(program).run(images)
        for path in available_paths():
            known = set()
            for m in PREFERRED:
                monkeypatch.setattr(choose, "_cost", lambda _, way, *__, m=m: _rank(way, m))
                engine = CompiledEngine(program, threads=1, path=path)
                algorithms = tuple(engine.algorithms.values())
                if algorithms not in known:
                    known.add(algorithms)
                    runs += 1
                    if not np.array_equal(engine.run(images), expected):
                        bad.append((seed, path, algorithms))
    return runs, bad


def _rank(way, m: int) -> bool:
    return (way.patch.m if way.patch else 0) != m


def test_random_layers_equal_the_reference(monkeypatch):
    runs, bad = wrong(range(60), monkeypatch)
    assert runs > 60
    assert bad == []


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_random_layers_on_every_path(monkeypatch, part):
    assert wrong(range(1000 * part, 1000 * (part + 1)), monkeypatch)[1] == []


def test_every_algorithm_is_met(monkeypatch):
    met: set[str] = set()
    for seed in range(60):
        for m in PREFERRED:
            monkeypatch.setattr(choose, "_cost", lambda _, way, *__, m=m: _rank(way, m))
            for path in available_paths():
                planned = choose.choose(*_proved(random_layer(seed)), SETS[path])
                met.update(choice.algorithm for choice in planned.layers.values())
    assert {"direct", "depthwise"} <= met or available_paths() == ("portable",)
    assert {"winograd F(2,3)", "winograd F(4,3)"} <= met or available_paths() == ("portable",)


def _proved(program):
    proof = prove(program)
    return proof.program, proof
