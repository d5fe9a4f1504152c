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
    *["bits", "mean_bits", "seed", "levels", "float_top1", "top1", "top1_drop", "integer_top1"],
    *["size_mib", "gbops", "epochs_baseline", "epochs_quantize", "seconds", "held_out"],
    "integer_images",
]
UNQUANTIZED = "float"
"""What `weight` and `activation` of a side are that is not quantized."""

SIDES = ("weight", "activation")
RECIPE = ("quantizer.", "schedule.", "trainer.optimizer.", "trainer.curve.", "allocation.")
"""Choices that make a run's recipe."""

ALLOCATIONS = {
    **dict.fromkeys(["", "fixed", "Fixed", "none", "None"], ""),
    **dict.fromkeys(["Cbc", "Highs", "ilp"], "ILP"),
    **{"RandomFill": "random", "ClosedForm": "closed form"},
}
"""How a reader calls the ways to choose widths, where the record's name is another."""


def overview(records: Sequence[Record]) -> pd.DataFrame:
    """One row a run: the summary's fields, flat, and what the page asks about them.

    `bits` are those of the weights, and of the activations where the weights are float; nan where
    widths were chosen layer by layer (`allocation` in words, else ""): there `mean_bits` says how
    many bits a weight has. Beside the summary: `weight`, `activation` (quantizers, or
    `UNQUANTIZED`), their bits in words (4/8 where layers differ), `integer_passed` (every engine
    and float64 agree on every logit; None: not deployed), `seconds` in total, `config` and, by
    dotted key, `choices`, `configuration`, equal for runs that differ only in their seed,
    `float_network`, equal for runs whose baselines do, `held_out` training images, `reason` of a
    failed or broken run, and the `phase` of one that has not ended.
    """
    frame = pd.DataFrame([_row(record) for record in records])
    frame = frame.reindex(columns=[*TEXTS, *NUMBERS, "integer_passed", "config", "choices"])
    texts = frame[TEXTS].astype(object)
    frame[TEXTS] = texts.where(texts.notna(), "").map(str)
    frame[NUMBERS] = frame[NUMBERS].apply(numbers).astype(float)
    frame["hardware"] = frame.hardware.str.replace(r"\b1 threads", "1 thread", regex=True)
    return frame.astype({"integer_passed": object})


def _row(record: Record) -> dict[str, Any]:
    # A run that has no summary yet is known by its choices
    named = {k: v.get("name") if isinstance(v, dict) else v for k, v in record.choices.items()}
    row = {k.replace(".", "_"): value for k, value in flat(record.summary or named).items()}
    for side in SIDES:
        name = row.get(f"quantizer_{side}", "")
        row[side] = UNQUANTIZED if name is None else name
    allocation = str(row.get("allocation") or "").rsplit(".", 1)[-1]
    row["allocation"] = ALLOCATIONS.get(allocation, allocation.lower())
    engines, seconds = row.get("integer_engines"), record.summary.get("seconds")
    row["engines"] = " ".join(map(str, engines)) if isinstance(engines, list) else engines
    row["seconds"] = numbers(list(seconds.values())).sum() if isinstance(seconds, dict) else 0
    left = ("_partial_", "schedule.seed")
    choices = {k: v for k, v in flat(record.choices).items() if not k.endswith(left)}
    widths = _widths(row, choices)
    weight = widths["weight_bits"]
    bits = int(weight) if weight.isdigit() else row.get("bits")
    found = [row.get(f"integer_mismatched_{name}") for name in ("logits", "vs_float64")]
    counts = [count for count in found if isinstance(count, int | float)]
    facts = {
        "bits": None if row["allocation"] else bits,
        "integer_passed": not any(counts) if counts else None,
        "config": record.choices,
        "choices": choices,
        "held_out": choices.get("dataset.holdout") or 0,
        "configuration": record.identity["experiment"] if choices else record.name,
        "float_network": record.identity["network"],
        "name": record.name,
        "status": record.status,
        "reason": record.reason,
        "phase": "" if record.status in ("done", BROKEN) else _phase(record),
    }
    return row | facts | widths


def _widths(row: dict[str, Any], choices: dict[str, Any]) -> dict[str, str]:
    """Bits of weights and of activations in words; "" where the choices do not say."""
    menu = choices.get("allocation.choices")
    menu = menu if isinstance(menu, list) else []
    pairs = [pair for pair in menu if isinstance(pair, list) and len(pair) == 2]
    pairs = [pair for pair in pairs if pair[0] == row.get("mean_bits")] or pairs
    pairs = pairs or [[choices.get("allocation.bits"), choices.get("allocation.activation_bits")]]
    said = ["/".join(str(b) for b in bits if b is not None) for bits in zip(*pairs, strict=True)]
    found = zip(SIDES, said, strict=True)
    return {f"{s}_bits": UNQUANTIZED if row[s] == UNQUANTIZED else bits for s, bits in found}


def _phase(record: Record) -> str:
    """Where a run that has not ended stands."""
    for _, last in record.history().tail(1).iterrows():
        return f"epoch {last.epoch:g}, {last.phase}".removesuffix(", ")
    return "no epoch yet"


def flat(choices: Any, prefix: str = "") -> dict[str, Any]:
    """A configuration by dotted keys; lists stay values.

    >>> flat({"bits": 4, "schedule": {"epochs": [1, 2], "seed": {}}})
    {'bits': 4, 'schedule.epochs': [1, 2]}
    """
    if not isinstance(choices, dict):
        return {prefix: choices}
    parts = [flat(value, f"{prefix}.{key}".strip(".")) for key, value in choices.items()]
    return {key: value for part in parts for key, value in part.items()}


def choices_of(runs: pd.DataFrame, kept: str | tuple[str, ...] = "") -> pd.DataFrame:
    """The choices whose keys begin so, as texts, a row a run; "" where a run has none."""
    texts = [
        {key: str(v) for key, v in choices.items() if key.startswith(kept) and v is not None}
        for choices in runs.choices
    ]
    return pd.DataFrame(texts, runs.index).fillna("")


def differing(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that do not have one value."""
    return table.loc[:, table.nunique() > 1]
