"""Run records as one table: a row a run."""

from math import nan
from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.read import Record

TEXTS = ["name", "dataset", "model", "method", "status", "hardware", "started", "ended", "note"]
NUMBERS = [
    "bits",
    "mean_bits",
    "seed",
    "levels",
    "float_top1",
    "float_top5",
    "top1",
    "top5",
    "top1_drop",
    "size_mib",
    "gbops",
]
INTEGER = [
    "images",
    "mismatched_logits",
    "mismatched_vs_float64",
    "float32_top1_disagreement",
    "top1",
]


def overview(records: list[Record]) -> pd.DataFrame:
    """One row a run: the summary's fields, flat, and what the page asks about them.

    `bits` is nan where widths were chosen layer by layer (by the ILP, say): such a run belongs to
    no width, and `mean_bits` says how many bits a weight has.

    Beside the summary: `weight`, `activation` (quantizers), `images` ... (integer check),
    `integer_passed` (True, False, or None where the run was not deployed), `seconds` in total,
    `configuration`, equal for runs that differ only in their seed, `float_network`, equal for runs
    whose baselines do, `held_out` training images, `reason` of a failed or broken run, and the
    `phase` in which one that has not ended is.
    """
    return pd.DataFrame([_row(record) for record in records], columns=COLUMNS)


def _row(record: Record) -> dict[str, Any]:
    summary, choices = record.summary, record.choices
    integer = _mapping(summary, "integer")
    quantizer, epochs = _mapping(summary, "quantizer"), _mapping(summary, "epochs")
    if not summary:
        summary = _chosen(choices)
    row: dict[str, Any] = {key: _text(summary.get(key)) for key in TEXTS}
    row |= {key: _number(summary.get(key)) for key in NUMBERS}
    row |= {f"integer_{key}": _number(integer.get(key)) for key in INTEGER}
    row |= {f"epochs_{key}": _number(epochs.get(key)) for key in ("baseline", "quantize")}
    row |= {key: _quantizer(quantizer, key) for key in ("weight", "activation")}
    row |= {key: _text(summary.get(key)) for key in ("schedule", "allocation")}
    row |= {"name": record.name, "status": record.status, "reason": record.reason}
    row["phase"] = _phase(record)
    row["bits"] = nan if mixed(row["allocation"]) else row["bits"]
    row["engines"] = _engines(integer.get("engines"))
    row["integer_passed"] = integer_passed(integer)
    row["seconds"] = _total(_mapping(summary, "seconds"))
    row["configuration"] = record.identity["experiment"] if record.choices else record.name
    row["float_network"] = record.identity["network"]
    held_out = _number(_mapping(choices, "dataset").get("holdout"))
    row["held_out"] = held_out if held_out == held_out else 0.0
    return row


def _phase(record: Record) -> str:
    """Where a run that has not ended stands; "" of one that has."""
    history = record.history() if record.status != "done" else pd.DataFrame()
    if history.empty:
        return "" if record.status == "done" else "no epoch yet"
    last = history.iloc[-1]
    return f"epoch {last.epoch:g}" + (f", {last.phase}" if last.phase else "")


def mixed(allocation: str) -> bool:
    """Whether widths were chosen layer by layer, and not as one number for all.

    >>> mixed("Cbc"), mixed("dyadic.allocation.Fixed"), mixed("")
    (True, False, False)
    """
    return allocation.rsplit(".", 1)[-1].lower() not in ("", "fixed")


COLUMNS = [
    *TEXTS,
    *NUMBERS,
    *(f"integer_{key}" for key in INTEGER),
    *[
        "epochs_baseline",
        "epochs_quantize",
        "weight",
        "activation",
        "schedule",
        "allocation",
        "engines",
    ],
    *["integer_passed", "seconds", "configuration", "float_network", "held_out"],
    *["reason", "phase"],
]


def integer_passed(integer: dict[str, Any]) -> bool | None:
    """Whether every engine agreed on every logit, with each other and with float64."""
    keys = ("mismatched_logits", "mismatched_vs_float64")
    counts = [integer[key] for key in keys if isinstance(integer.get(key), int | float)]
    return not any(counts) if counts else None


def _chosen(choices: dict[str, Any]) -> dict[str, Any]:
    """What a configuration says of a run that has no summary yet."""
    named = {key: choices.get(key) for key in ("dataset", "model", "method")}
    named = {key: v.get("name") if isinstance(v, dict) else v for key, v in named.items()}
    return named | {key: choices.get(key) for key in ("bits", "seed")}


def flat(choices: Any, prefix: str = "") -> dict[str, Any]:
    """A configuration by dotted keys; lists stay values.

    >>> flat({"bits": 4, "schedule": {"epochs": [1, 2], "seed": {}}})
    {'bits': 4, 'schedule.epochs': [1, 2]}
    """
    if not isinstance(choices, dict):
        return {prefix: choices}
    parts = [flat(value, f"{prefix}.{key}".strip(".")) for key, value in choices.items()]
    return {key: value for part in parts for key, value in part.items()}


def _mapping(summary: dict[str, Any], key: str) -> dict[str, Any]:
    value = summary.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _quantizer(quantizer: dict[str, Any], part: str) -> str:
    """The quantizer's name; `float` where the record says that there is none."""
    return "float" if part in quantizer and quantizer[part] is None else _text(quantizer.get(part))


def _engines(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else _text(value)


def _total(seconds: dict[str, Any]) -> float:
    return float(np.nansum([_number(value) for value in seconds.values()]))
