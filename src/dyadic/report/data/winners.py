"""Who is ahead among like configurations, and which runs none beats in both cost and top-1."""

import math
from typing import Any

import pandas as pd

from dyadic.record.schema import FLOAT_BITS
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.runs import FLOAT_WORD
from dyadic.report.data.seeds import HELD, NOT_HELD, NOT_RUN, SETTING, Paired, paired
from dyadic.report.text import plural

LIKE = ["activation_bits", "epochs_quantize"]
"""Beside the setting and the width: what configurations must share before one can be ahead."""

AHEAD, ALONE = "ahead", "only method at this width and training"
BEHIND, UNSHARED = "behind on the seeds that both have", "no seed that both have"
LEAD = ["second", "methods", "pair", "verdict"]


def quantized(table: pd.DataFrame) -> pd.DataFrame:
    """The rows most of whose weights are quantized: others show what a part of a method does."""
    return where(table, (table.weight != FLOAT_WORD) & ~(table.mean_bits > FLOAT_BITS / 2))


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that compete at a width: quantized, and not of mixed widths, which have none."""
    return quantized(table).dropna(subset="bits")


def leading(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The best row per combination of keys, of those on enough seeds where there are any."""
    return ordered(table, ["enough", "top1"], descending=True).drop_duplicates(keys)


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """Per setting, bits and `LIKE`: the method with the highest mean, and its lead over the next.

    Rows of `configurations` that are `comparable`, with `LEAD`: the second's name, how many methods
    there are, the paired differences, and as verdict `AHEAD`, `ALONE` or what `Paired.words` says.
    """
    found = []
    for _, group in groups(comparable(table), [*SETTING, "bits", *LIKE]):
        best = rows(ordered(leading(group, ["method"]), "top1", descending=True))
        lead = {"second": "", "pair": Paired(()), "verdict": ALONE, "methods": len(best)}
        if len(best) > 1:
            pair = paired(best[0]["by_seed"], best[1]["by_seed"])
            words = {HELD: AHEAD if pair.mean > 0 else "equal", NOT_HELD: BEHIND, NOT_RUN: UNSHARED}
            verdict = words.get(pair.verdict, pair.words())
            lead |= {"second": best[1]["method"], "pair": pair, "verdict": verdict}
        found.append(best[0] | lead)
    return pd.DataFrame(found, columns=[*table.columns, *LEAD])


def width_of(row: dict[str, Any]) -> str:
    """The bits of a row, in words."""
    return f"{row['width']} {'bit' if row['width'] == '1' else 'bits'}"


def condition(row: dict[str, Any]) -> str:
    """What rows must share to be compared, beside the width, in words."""
    activations, epochs = (row[key] for key in LIKE)
    kind = activations if activations in ("", FLOAT_WORD) else f"{activations}-bit"
    said = [f"{kind} activations"] * bool(kind)
    if epochs == epochs:
        said.append(f"{plural(int(epochs), 'epoch')} of training" if epochs else "no training")
    return " with " * bool(said) + " and ".join(said)


def front(points: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The rows that no other row beats in cost (less) and top-1 (more), by ascending cost."""
    ascending = ordered(ordered(points.dropna(subset=[cost]), "top1", descending=True), cost)
    best_before = ascending.top1.astype(float).cummax().shift(fill_value=-math.inf)
    return where(ascending, ascending.top1 > best_before)


def axis_start(values: pd.Series) -> float | None:
    """Where an axis of accuracies may begin so that collapsed runs do not flatten the others.

    None when no value lies further below the best than four times the median does (at least two
    points).
    """
    best, low = values.max(), values.min()
    limit = best - max(4 * (best - values.median()), 2.0)
    return float(limit) if low < limit else None
