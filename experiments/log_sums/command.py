"""`python -m dyadic log_domain RUN`: what a run loses with sums in the log domain.

The evaluation is approximate (LogQuant, section 3) and is named so; the run's own scores stay those
of its exact program. It says how wrong each layer's sums are, and how many images are decided
rightly, with the paper's floor and without it, beside the exact program on the same images.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from experiments.log_sums.engine import LogDomainEngine

from dyadic.commands.recorded import recorded_images
from dyadic.errors import UserError, check_least
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.program.files import load_proof
from dyadic.integer.program.operations import Linear, Program
from dyadic.record.files import read_json, write_json, write_rows

ERRORS = ["relative_error", "gain"]  # each with the floor, and without it
FLOORS = ["", "_without_floor"]
SUM_COLUMNS = ["layer", "accumulation", "terms", *(e + s for e in ERRORS for s in FLOORS)]
KEY = "log_domain"  # of summary.json


def evaluate_run(
    directory: Path, images: int, data_dir: Path | None = None, allow: Collection[str] = ()
) -> str:
    """Evaluate a finished run on its first test images; writes the record, returns it as text.

    `log_domain.csv` has a row a layer, `summary.json` gets the totals under "log_domain".
    Raises: UserError for an unfinished run, or one that has no layer to accumulate so.
    """
    path = directory / "summary.json"
    if not path.exists():
        raise UserError(f"{directory} holds no finished run; give one such as results/runs/NAME")
    check_least(1, images=images)
    pixels, labels = recorded_images(directory, data_dir, allow)
    found, rows = log_domain(load_proof(directory).program, pixels[:images], labels[:images])
    write_rows(directory / "log_domain.csv", SUM_COLUMNS, rows)
    write_json(path, read_json(path) | {KEY: found})
    return "\n".join(f"{name:<32}{value}" for name, value in found.items())


def log_domain(
    program: Program, images: np.ndarray, labels: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The totals, scores in percent, and a row a layer.

    Errors are those of a layer's approximate sums against the exact ones of the same inputs: the
    mean difference to the mean magnitude, and the gain (1 is right; sums that shrink have less).
    The totals' are the means over the layers.
    """
    engines = [LogDomainEngine(program), LogDomainEngine(program, floor=False)]
    if not engines[0].errors:
        raise UserError(
            f"{program.name}: no layer has powers of two on both sides; use "
            "method=log2 quantizer/activation=log2 allocation=weights_and_activations"
        )
    exact, *top1 = (
        _top1(engine, images, labels) for engine in (ReferenceEngine(program), *engines)
    )
    layers = [o.name for o in program.operations if isinstance(o, Linear)]
    rows = [_row(layer, engines) for layer in layers]
    approximate = [row for row in rows if "terms" in row]
    found = {
        "images": len(images),
        "layers": f"{len(approximate)} of {len(layers)}",
        "exact_top1": exact,
        **{f"top1{suffix}": score for suffix, score in zip(FLOORS, top1, strict=True)},
    }
    errors = SUM_COLUMNS[3:]
    means = {key: round(float(np.mean([row[key] for row in approximate])), 5) for key in errors}
    return found | means, rows


def _top1(engine: ReferenceEngine, images: np.ndarray, labels: np.ndarray) -> float:
    return round(100 * float((engine.run(images).argmax(axis=1) == labels).mean()), 4)


def _row(layer: str, engines: list[LogDomainEngine]) -> dict[str, Any]:
    """One layer's row; without errors where its sums are exact."""
    if layer not in engines[0].errors:
        return {"layer": layer, "accumulation": "linear, exact"}
    row: dict[str, Any] = {"layer": layer, "accumulation": "log domain, approximate"}
    row["terms"] = engines[0].errors[layer].terms
    for suffix, engine in zip(FLOORS, engines, strict=True):
        error = engine.errors[layer]
        row[f"relative_error{suffix}"] = round(error.relative, 5)
        row[f"gain{suffix}"] = round(error.gain, 5)
    return row
