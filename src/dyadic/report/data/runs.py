"""Run records as one table: a row a run."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from dyadic.record.read import BROKEN, Record, numbers

TEXTS = [
    *["name", "dataset", "model", "method", "status", "reason", "phase", "hardware", "precision"],
    *["ended", "note", "schedule", "allocation", "weight", "activation", "engines"],
    *["configuration", "float_network", "weight_bits", "activation_bits"],
]
NUMBERS = [
    *["bits", "mean_bits", "seed", "levels", "float_top1", "float_top5", "top1", "top5"],
    *["top1_drop", "size_mib", "gbops", "epochs_baseline", "epochs_quantize", "seconds"],
    *["held_out", "integer_images", "integer_top1"],
]


def overview(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run: the summary's fields, flat, and what the page asks about them.

    `bits` is nan where widths were chosen layer by layer (by the ILP, say): such a run belongs to
    no width, and `mean_bits` says how many bits a weight has.

    Beside the summary: `weight`, `activation` (quantizers, "float" where a side has none),
    `integer_passed` (True, False, or None where the run was not deployed), `seconds` in total,
    `weight_bits` and `activation_bits` in words (4/8 where layers differ, "float" for a side left
    so), `recipe` (what `RECIPE` begins, by dotted key), `configuration`, equal for runs that differ
    only in their seed, `float_network`, equal for runs whose baselines do, `held_out` training
    images, `reason` of a failed or broken run, and the `phase` of one that has not ended.
    """
    frame = pd.DataFrame([_row(record) for record in records])
    frame = frame.reindex(columns=[*TEXTS, *NUMBERS, "integer_passed", "recipe"])
    for name in TEXTS:
        column = frame[name].astype(object)
        frame[name] = column.where(column.notna(), "").map(str)
    for name in NUMBERS:
        frame[name] = numbers(frame[name])
    frame["hardware"] = frame.hardware.str.replace(r"\b1 threads", "1 thread", regex=True)
    frame["integer_passed"] = frame.integer_passed.astype(object)
    return frame


def _row(record: Record) -> dict[str, Any]:
    # A run that has no summary yet is known by its choices
    named = {k: v.get("name") if isinstance(v, dict) else v for k, v in record.choices.items()}
    summary = record.summary or named
    row = {key.replace(".", "_"): value for key, value in flat(summary).items()}
    for part in ("weight", "activation"):
        name = row.get(f"quantizer_{part}", "")
        row[part] = "float" if name is None else name
    row["bits"] = None if kind_of(str(row.get("allocation", ""))) else row.get("bits")
    engines, seconds = row.get("integer_engines"), record.summary.get("seconds")
    row["engines"] = " ".join(map(str, engines)) if isinstance(engines, list) else engines
    row["seconds"] = numbers(list(seconds.values())).sum() if isinstance(seconds, dict) else 0
    row["integer_passed"] = integer_passed(record.summary.get("integer"))
    left = ("_partial_", "schedule.seed")
    chosen = {k: v for k, v in flat(record.choices).items() if not k.endswith(left)}
    row["held_out"] = chosen.get("dataset.holdout") or 0
    row["recipe"] = {k: v for k, v in chosen.items() if k.startswith(RECIPE)}
    row |= _widths(row, chosen)
    return row | {
        "configuration": record.identity["experiment"] if record.choices else record.name,
        "float_network": record.identity["network"],
        "name": record.name,
        "status": record.status,
        "reason": record.reason,
        "phase": "" if record.status in ("done", BROKEN) else _phase(record),
    }


def _widths(row: dict[str, Any], chosen: dict[str, Any]) -> dict[str, str]:
    """Bits of weights and of activations in words; "" where the choices do not say."""
    menu = chosen.get("allocation.choices")
    menu = menu if isinstance(menu, list) else []
    pairs = [pair for pair in menu if isinstance(pair, list) and len(pair) == 2]
    pairs = [pair for pair in pairs if pair[0] == row.get("mean_bits")] or pairs
    pairs = pairs or [[chosen.get("allocation.bits"), chosen.get("allocation.activation_bits")]]
    found = {}
    for k, side in enumerate(("weight", "activation")):
        said = "/".join(str(pair[k]) for pair in pairs if pair[k] is not None)
        found[f"{side}_bits"] = "float" if row[side] == "float" else said
    return found


def _phase(record: Record) -> str:
    """Where a run that has not ended stands."""
    history = record.history()
    if history.empty:
        return "no epoch yet"
    last = history.iloc[-1]
    return f"epoch {last.epoch:g}" + (f", {last.phase}" if last.phase else "")


RECIPE = ("quantizer.", "schedule.", "trainer.optimizer.", "trainer.curve.", "allocation.")
"""Choices that make a run's recipe."""

ALLOCATIONS = {
    **dict.fromkeys(["", "fixed", "Fixed", "none", "None"], ""),
    **dict.fromkeys(["Cbc", "Highs", "ilp"], "ILP"),
    **{"RandomFill": "random", "ClosedForm": "closed form"},
}
"""How a reader calls the ways to choose widths, where the record's name is another."""


def kind_of(allocation: str) -> str:
    """How bits were allocated, "" where by one number for all layers.

    >>> kind_of("dyadic.allocation.solvers.ilp.Cbc"), kind_of("fixed")
    ('ILP', '')
    """
    name = allocation.rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name.lower())


def integer_passed(integer: Any) -> bool | None:
    """Whether every engine agreed on every logit, with each other and with float64."""
    keys = ("mismatched_logits", "mismatched_vs_float64")
    found = [integer.get(key) for key in keys] if isinstance(integer, dict) else []
    counts = [count for count in found if isinstance(count, int | float)]
    return not any(counts) if counts else None


def flat(choices: Any, prefix: str = "") -> dict[str, Any]:
    """A configuration by dotted keys; lists stay values.

    >>> flat({"bits": 4, "schedule": {"epochs": [1, 2], "seed": {}}})
    {'bits': 4, 'schedule.epochs': [1, 2]}
    """
    if not isinstance(choices, dict):
        return {prefix: choices}
    parts = [flat(value, f"{prefix}.{key}".strip(".")) for key, value in choices.items()]
    return {key: value for part in parts for key, value in part.items()}
