"""What a run's record consists of: the one place that names its files, their columns and keys.

`results/runs/<name>/` holds `CONFIG` and `HISTORY` from the start, `LAYERS` and `HISTOGRAMS` near
the end, and `SUMMARY` last of all. Names map to the type of their values; None is a value that is
not there.
"""

from collections.abc import Mapping
from typing import Any

FLOAT_BITS = 32  # of weights and activations that are not quantized
VERSION = 2  # 1 had no identity, and named nothing

CONFIG, HISTORY, LAYERS = "config.yaml", "history.csv", "layers.csv"
HISTOGRAMS, SUMMARY = "histograms.npz", "summary.json"
ERROR = "error.txt"  # why a run failed

HISTORY_COLUMNS: dict[str, type] = {
    "epoch": int,
    "step": int,
    "phase": str,
    "event": str,
    "train_loss": float,
    "val_loss": float,
    "top1": float,
    "top5": float,
    "quantized_share": float,
    "blend": float,
    "lr": float,
    "seconds": float,
}
"""A row an epoch."""

LAYER_COLUMNS: dict[str, type] = {
    "layer": str,
    "kind": str,
    "parameters": int,
    "macs": int,
    "weight_bits": int,
    "activation_bits": int,
    "levels": int,
    "sqnr_db": float,
    "saturations": int,
    "zero_share": float,
    "accumulator_bits": int,
    "sensitivity": float,
    "float_difference_steps": int,
    "algorithm": str,
}
"""A row a weight layer, in execution order; levels to zero_share are empty for float weights.

`algorithm` is that of the compiled engine on this machine, empty where it was not there.
"""

FACTS: dict[str, type] = {
    "name": str,
    "dataset": str,
    "model": str,
    "method": str,
    "bits": int,
    "seed": int,
    "quantizer": dict,
    "schedule": str,
    "allocation": str,
    "start": str,
}
"""Of a summary: what was chosen; `quantizer` by `weight` and `activation`, None where float."""

RESULTS: dict[str, type] = {
    "float_top1": float,
    "float_top5": float,
    "top1": float,
    "top5": float,
    "top1_drop": float,
    "mean_bits": float,
    "budget": dict,
    "size_mib": float,
    "gbops": float,
    "levels": int,
    "compression": dict,
}
"""Of a summary: what came out. Accuracies in percent, of one test set.

`budget` by measure (size MiB, gbops, latency ms): `used`, and `limit` or None; {} without budgets.
"""

CIRCUMSTANCES: dict[str, type] = {
    "status": str,
    "schema_version": int,
    "identity": dict,
    "integer": dict,
    "seconds": dict,
    "epochs": dict,
    "hardware": str,
    "precision": str,
    "normalization": dict,
    "ended": str,
    "versions": dict,
    "size_convention": str,
    "bops_convention": str,
    "classes": list,
    "note": str,
}
"""Of a summary: how it came about. `integer` is None for a run that was not deployed."""

SUMMARY_KEYS = FACTS | RESULTS | CIRCUMSTANCES

INTEGER: dict[str, type] = {
    "engines": list,
    "missing": list,
    "images": int,
    "mismatched_logits": int,
    "mismatched_vs_float64": int,
    "traced_difference": float,
    "float32_top1_disagreement": float,
    "top1": float,
    "weights_bytes": int,
}
"""Keys of a summary's `integer`."""

MAPPINGS: dict[str, tuple[str, ...]] = {
    "identity": ("run", "experiment", "network", "baseline"),
    "seconds": ("baseline", "quantize", "evaluate", "integer"),
    "epochs": ("baseline", "quantize"),
    "versions": ("dyadic", "python", "torch", "git"),
    "quantizer": ("weight", "activation"),
    "normalization": ("mean", "std"),
    "integer": tuple(INTEGER),
}
"""Keys of the mappings within a summary."""


def numeric_columns(columns: Mapping[str, type]) -> list[str]:
    """The names whose values are numbers.

    >>> numeric_columns({"epoch": int, "phase": str, "lr": float})
    ['epoch', 'lr']
    """
    return [name for name, kind in columns.items() if kind in (int, float)]


def checked(summary: dict[str, Any]) -> dict[str, Any]:
    """The summary, if it has every key that the schema names and no other.

    Raises KeyError otherwise: a record that its readers would not understand is never written.
    """
    expected = {"": set(SUMMARY_KEYS)} | {key: set(names) for key, names in MAPPINGS.items()}
    for key, names in expected.items():
        found = summary if not key else summary.get(key)
        if found is not None and (wrong := names ^ set(found)):
            raise KeyError(f"summary {key}: {sorted(wrong)}")
    return summary
