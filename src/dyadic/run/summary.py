"""The end of a run: `layers.csv`, `histograms.npz`, the integer proof, and `summary.json` last."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

import dyadic
from dyadic.allocation.allocation import Allocation, Constrained
from dyadic.allocation.cost import (
    BOPS_CONVENTION,
    SIZE_CONVENTION,
    LayerCost,
    costs_of,
    gbops,
    size_mib,
)
from dyadic.models.normalize import BODY_PREFIX
from dyadic.network.insert import Bits
from dyadic.record import schema
from dyadic.record.compression import compression
from dyadic.record.files import write_json, write_rows
from dyadic.record.identity import identify
from dyadic.run.certify import Certificate, certify
from dyadic.run.layers import layer_rows, weight_histograms, write_arrays
from dyadic.run.pipeline import Run, Trained, calibration_images
from dyadic.run.tracker import Results, log_record

TYPED = dict(Fixed="fixed", Cbc="ilp", Highs="ilp", RandomFill="random", ClosedForm="sqnr")
"""The names that a user typed, by the class or function that they built."""


def finish(run: Run, trained: Trained, facts: dict[str, Any]) -> dict[str, Any]:
    """Prove the integers, write the record, and return the summary (written last, atomically)."""
    state = {k.removeprefix(BODY_PREFIX): value for k, value in trained.baseline.state.items()}
    arrays = weight_histograms(trained.network, state)
    rows = layer_rows(trained.network, state, trained.sensitivity)
    proof = None
    if run.deployment is not None:
        images = calibration_images(run.data, run.deployment.images)
        proof = certify(trained.network, run.deployment, images, run.data, run.directory)
        arrays |= proof.arrays
        rows = [row | proof.columns.get(row["layer"], {}) for row in rows]
    write_rows(run.directory / schema.LAYERS, schema.LAYER_COLUMNS, rows)
    write_arrays(run.directory / schema.HISTOGRAMS, arrays)
    config = yaml.safe_load((run.directory / schema.CONFIG).read_text())
    named = {
        "schema_version": schema.VERSION,
        "identity": identify(config, run.baseline_determined_by),
    }
    numbers = _numbers(run, trained, rows, proof)
    summary = schema.checked(facts | numbers | _circumstances(run, trained) | named)
    write_json(run.directory / schema.SUMMARY, summary)
    for logger in run.loggers:
        log_record(logger, Results(config, summary, trained.history, rows, arrays))
    return summary


def _numbers(
    run: Run, trained: Trained, rows: list[dict[str, Any]], proof: Certificate | None
) -> dict[str, Any]:
    baseline, score = trained.baseline, trained.score
    costs = costs_of(trained.network.layers)
    bits = {row["layer"]: (row["weight_bits"], row["activation_bits"]) for row in rows}
    return {
        "status": "trial" if run.trial else "done",
        "start": baseline.origin,
        "float_top1": round(baseline.top1, 4),
        "float_top5": round(baseline.top5, 4),
        "top1": round(score.top1, 4),
        "top5": round(score.top5, 4),
        "top1_drop": round(baseline.top1 - score.top1, 4),
        "allocation": _allocation(run.allocation),
        "budget": trained.budget,
        "mean_bits": round(mean_bits(costs, bits), 4),
        "size_mib": round(size_mib(costs, bits), 5),
        "compression": compression(rows),
        "gbops": round(gbops(costs, bits), 5),
        "size_convention": SIZE_CONVENTION,
        "bops_convention": BOPS_CONVENTION,
        "levels": max((row.get("levels", 0) for row in rows), default=0),
        "integer": None if proof is None else _integer(proof),
        "note": "" if proof is None else proof.program_note,
        "seconds": trained.seconds | {"integer": 0.0 if proof is None else proof.seconds},
        "classes": list(run.data.class_names),
    }


def _normalization(state: Mapping[str, torch.Tensor]) -> dict[str, list[float]]:
    """Mean and std of each channel that the network normalizes with: given, measured or brought."""
    return {
        key: [round(x, 6) for x in state[f"normalize.{key}"].flatten().tolist()]
        for key in ("mean", "std")
    }


def _allocation(allocation: Allocation) -> str:
    """The allocation as `allocation=` names it; one of the user's own by its class."""
    chosen = allocation.solver if isinstance(allocation, Constrained) else allocation
    named = getattr(chosen, "func", chosen)  # a partial's function
    name = getattr(named, "__name__", type(named).__name__)
    return TYPED.get(name, name)


def mean_bits(costs: list[LayerCost], bits: Mapping[str, Bits]) -> float:
    """Bits of a weight on average.

    >>> mean_bits([LayerCost("a", 30, 1), LayerCost("b", 10, 1)], {"a": (4, 8), "b": (8, 8)})
    5.0
    """
    stored = sum(layer.size(bits[layer.name]) for layer in costs)
    return stored / sum(layer.parameters for layer in costs)


def _integer(proof: Certificate) -> dict[str, Any]:
    stored = {"weights_bytes": proof.bytes}
    return {key: getattr(proof.report, key) for key in schema.INTEGER if key not in stored} | stored


def _circumstances(run: Run, trained: Trained) -> dict[str, Any]:
    return {
        "epochs": {"baseline": trained.baseline.epochs, "quantize": len(trained.history)},
        "hardware": run.hardware.describe(),
        "precision": run.hardware.resolved_precision,
        "normalization": _normalization(trained.baseline.state),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {
            "dyadic": dyadic.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
            "torch": torch.__version__,
            "git": _git_commit(),
        },
    }


def _git_commit() -> str:
    """The commit of the code, with "-dirty" where it was changed; empty where it is installed.

    A repository around an installed package is not this one: it does not track this file.
    """
    file = Path(__file__)
    tracked = ["ls-files", "--error-unmatch", file.name]
    described = ["describe", "--always", "--dirty", "--abbrev=10"]
    found = ""
    try:
        for asked in (tracked, described):
            command = ["git", "-C", str(file.parent), *asked]
            found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.strip()
