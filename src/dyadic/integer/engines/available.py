"""The engines of this machine: PyTorch and ONNX always, the compiled one with a C compiler."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dyadic.integer.engines.compiled import CompiledEngine, CompilerNotFound, available_paths
from dyadic.integer.engines.compiled.build import library
from dyadic.integer.engines.onnx.engine import OnnxEngine
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.bounds import Proof, prove
from dyadic.integer.program.operations import Program


class Engine(Protocol):
    """Runs a program: uint8 images [N, C, H, W] to int32 logits [N, classes]."""

    def run(self, images: np.ndarray) -> np.ndarray: ...

    def trace(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Every tensor by operation name, [N, C, H, W] or [N, C]."""
        ...


@dataclass(frozen=True)
class Engines:
    """Engines by name, the reference first; and in one line each, why others are missing."""

    available: dict[str, Engine]
    missing: list[str]


def unavailable() -> list[str]:
    """In one line each, which engines this machine has not, and why."""
    try:
        library(available_paths()[0])
    except CompilerNotFound as error:
        return [f"no compiled engine: {error}"]
    return []


def engines(program: Program | Proof, exported: Path | None = None) -> Engines:
    """Build every engine that runs here.

    exported  the ONNX file to run, for a program from disk; exported anew where it is None
    """
    proof = prove(program)
    available: dict[str, Engine] = {"reference": ReferenceEngine(proof)}
    missing = []
    try:
        available["compiled"] = CompiledEngine(proof)
    except CompilerNotFound as error:
        missing.append(f"no compiled engine: {error}")
    available["onnx"] = OnnxEngine(proof, exported)
    return Engines(available, missing)
