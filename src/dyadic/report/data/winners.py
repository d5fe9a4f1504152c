"""Who is ahead at a width, and which runs none beats in both cost and top-1."""

import math
from typing import Any

import pandas as pd

from dyadic.record.schema import FLOAT_BITS
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.seeds import FLOAT, HELD, NOT_HELD, NOT_RUN, SETTING, Paired, paired

AHEAD, ALONE = "ahead", "only method at this width"
BEHIND, UNSHARED = "behind on the seeds that both have", "no seed that both have"
WINNER = ["method", "variant", "activation", "width", "levels", "top1", "top1_sd", "seeds"]
LEAD = ["top1_drop", "second", "methods", "pair", "verdict"]


def quantized(table: pd.DataFrame) -> pd.DataFrame:
    """The rows most of whose weights are quantized: others show what a part of a method does."""
    return where(table, (table.weight != FLOAT) & ~(table.mean_bits > FLOAT_BITS / 2))


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that compete at a width: quantized, and not of mixed widths, which have none."""
    return where(quantized(table), quantized(table).bits.notna())


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """Per setting and bits: the method with the highest mean, and its lead over the next method.

    Of the rows of `configurations` that are `comparable`. Columns: `SETTING`, bits, `WINNER` and
    `LEAD`: the second's name, how many methods there are, the paired differences and the verdict:
    `AHEAD`, `ALONE`, or what `Paired.words` says.
    """
    found = []
    for _, group in groups(comparable(table), [*SETTING, "bits"]):
        best = rows(ordered(group, "top1", descending=True).drop_duplicates("method"))
        alone = {"second": "", "pair": Paired(()), "verdict": ALONE}
        lead = _lead(best[0], best[1]) if len(best) > 1 else alone
        found.append(best[0] | lead | {"methods": len(best)})
    return pd.DataFrame(found, columns=[*SETTING, "bits", *WINNER, *LEAD])


def _lead(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    pair = paired(first["by_seed"], second["by_seed"])
    words = {HELD: AHEAD if pair.mean > 0 else "equal", NOT_HELD: BEHIND, NOT_RUN: UNSHARED}
    verdict = words.get(pair.verdict, pair.words())
    return {"second": second["method"], "pair": pair, "verdict": verdict}


def front(points: pd.DataFrame, cost: str, gain: str = "top1") -> pd.DataFrame:
    """The rows that no other row beats in cost (less) and gain (more), by ascending cost."""
    ascending = ordered(ordered(points.dropna(subset=[cost, gain]), gain, descending=True), cost)
    best_before = ascending[gain].astype(float).cummax().shift(fill_value=-math.inf)
    return where(ascending, ascending[gain] > best_before)


def floor(values: pd.Series) -> float | None:
    """Where an axis of accuracies may begin so that collapsed runs do not flatten the others.

    None when no value lies further below the best than four times the median does (at least two
    points).
    """
    best, low = values.max(), values.min()
    limit = best - max(4 * (best - values.median()), 2.0)
    return float(limit) if low < limit else None
