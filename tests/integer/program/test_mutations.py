"""Programs changed at random, sealed again: refused in one printable line, or every engine agrees.

The checksum finds a flipped bit; here it is made right again, so that the reading and the proof
stand alone between a hostile file and the engines.
"""

import copy
import json
import random
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.integer.program.saved import attempt
from tests.integer.random_programs import random_images, random_program

from dyadic.integer.engines.available import engines
from dyadic.integer.program.bounds import prove
from dyadic.integer.program.files import checksum, save
from dyadic.integer.program.operations import Program

SMALL = 2**16  # elements of a program that is run
EXTREMES = [
    *(0, 1, -1, 2, 3, 7, 127, 128, -128, 255, 256, 2**15 - 1, 2**15, 2**15 + 1, 2**16, 2**20),
    *(2**30, 2**31 - 1, 2**31, -(2**31), 2**32, 2**33 + 1, 2**62, 2**63 - 1, -(2**63), 10**400),
    *(0.5, -1.0, 1e308, True, None, "", "input", "\x1b[31m\n", "\ud800", [], {}, [0], [[0], [1]]),
]

Place = tuple[Any, Any]  # a container and a key of it


def places(tree: Any) -> list[Place]:
    """Every value of a JSON tree, by its container."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree))
    found: list[Place] = [(tree, key) for key in keys]
    for key in keys:
        if isinstance(tree[key], dict | list):
            found += places(tree[key])
    return found


def mutate(tree: dict[str, Any], rng: random.Random) -> None:
    """One change: of a number, a value, a key, or two values exchanged."""
    found = places(tree)
    container, key = rng.choice(found)
    kind = rng.randrange(6)
    if kind < 3:
        container[key] = copy.deepcopy(rng.choice(EXTREMES))
    elif kind == 3 and type(container[key]) is int:
        container[key] += rng.choice([-1, 1, 2 ** rng.randrange(64)])
    elif kind == 4 and isinstance(container, dict):
        container[rng.choice([*container, "\x07\n"])] = container.pop(key)
    else:
        other, place = rng.choice(found)
        other[place], container[key] = copy.deepcopy((container[key], other[place]))


def disagreeing(program: Program) -> list[str]:
    """Engines that differ from the reference on two images."""
    images = random_images(program, 2)
    available = engines(program).available
    expected = available.pop("reference").run(images)
    return [
        n for n, engine in available.items() if not np.array_equal(engine.run(images), expected)
    ]


def campaign(directory: Path, cases: int, seed: int) -> tuple[int, int]:
    """Refused, and run on every engine; of all others nothing but the proof is asked."""
    rng, refused, ran = random.Random(seed), 0, 0
    for case in range(cases):
        if case % 20 == 0:
            save(random_program(seed + case), directory)
            whole = json.loads((directory / "program.json").read_text())
            with np.load(directory / "weights.npz") as stored:
                packed = stored["packed"]
        tree = copy.deepcopy(whole)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            mutate(tree, rng)
        if isinstance(tree.get("version"), int):
            tree["sha256"] = checksum(tree, packed)
        (directory / "program.json").write_text(json.dumps(tree))
        found = attempt(directory)
        if isinstance(found, str):
            refused += 1
            assert found.isprintable(), found
            assert len(found) <= 1000
        elif sum(map(prod, prove(found).shapes.values())) < SMALL:
            ran += 1
            assert disagreeing(found) == [], tree
    return refused, ran


def test_mutated_programs_are_refused_or_run_alike(tmp_path: Path) -> None:
    refused, ran = campaign(tmp_path, cases=120, seed=0)
    assert refused > 40
    assert ran > 5


@pytest.mark.slow
def test_ten_thousand_mutated_programs(tmp_path: Path) -> None:
    refused, ran = campaign(tmp_path, cases=10_000, seed=10**6)
    print(f"10000 mutated programs: {refused} refused, {ran} run, 0 wrong")
    assert refused > 4000
    assert ran > 500
