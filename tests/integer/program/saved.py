"""A program with every kind of field, saved, and what changes its files."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.integer.random_programs import Builder

from dyadic.integer.program.files import checksum, load_proof
from dyadic.integer.program.operations import (
    Flatten,
    Linear,
    MaxPool,
    Program,
)
from dyadic.integer.program.requirements import ProgramError


@cache
def sample() -> Program:
    builder = Builder(np.random.default_rng(0), (2, 8, 8))
    name = builder.threshold(builder.residual(builder.conv(builder.normalize("input"))))
    size = builder.shape(name)[1:]
    pooled = builder.add(MaxPool("pool", (name,), (1, size[1]), (1, 1), (0, 0), False))
    flat = builder.add(Flatten("flat", (pooled,)))
    builder.layer(flat, Linear, (3, *builder.shape(flat)), hi=2**20)
    return builder.program()


def change(directory: Path, edit: Any) -> None:
    path = directory / "program.json"
    tree = json.loads(path.read_text())
    whole = tree["sha256"]
    edit(tree)
    if tree.get("sha256") == whole and "version" in tree:  # so that not the checksum refuses it
        with np.load(directory / "weights.npz") as stored:
            tree["sha256"] = checksum(tree, stored["packed"])
    path.write_text(json.dumps(tree))


def first(tree: dict, kind: str) -> dict:
    return next(o for o in tree["operations"] if o["operation"] == kind)


def attempt(directory: Path) -> Program | str:
    """The program, or why it is none."""
    try:
        return load_proof(directory).program
    except ProgramError as error:
        return str(error)
