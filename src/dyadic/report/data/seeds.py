"""From runs to configurations: seeds joined into mean and standard deviation, and who wins."""

import math
from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.data.frames import first_of_each, groups, known, ordered, rows, where

SETTING = ["dataset", "model", "hardware", "float_network"]
"""What runs must share before their top-1 is compared: other float networks are other races."""

CHOICES = ["weight", "activation", "schedule", "allocation", "epochs_quantize"]
CARRIED = ["levels", "mean_bits", "size_mib", "gbops", *CHOICES]
FLOAT = "float"
"""What a record calls the quantizer of a side that has none."""

SCATTER = 2.0
"""A lead counts when it is more than this many standard errors of the difference."""


def configurations(overview: pd.DataFrame) -> pd.DataFrame:
    """One row for the finished runs that differ only in their seed, best first within its bits.

    Several runs with one seed (random allocations, whose draws have seeds of their own) count as
    their mean.

    Columns: `SETTING`, method, bits, variant, seeds, top1, top1_sd, float_top1, top1_drop,
    drop_sd, integer_passed, what `CARRIED` names, configuration. Standard deviations are of the
    sample (n - 1), nan for one seed. `variant` says how a row differs from its method's others.
    """
    done = finished(overview)
    keys = [*SETTING, "method", "bits", "configuration"]
    found = [_row(dict(zip(keys, key, strict=True)), group) for key, group in groups(done, keys)]
    columns = [*keys, "seeds", *MEANS, *DEVIATIONS, "integer_passed", *CARRIED]
    frame = pd.DataFrame(found, columns=columns)
    frame["variant"] = _variants(frame)
    ranked = ordered(ordered(frame, "top1", descending=True), [*SETTING, "bits"])
    return ranked.reset_index(drop=True)


def finished(overview: pd.DataFrame) -> pd.DataFrame:
    """The runs that have ended and have a top-1."""
    return where(overview, (overview.status == "done") & overview.top1.notna())


MEANS = ["top1", "float_top1", "top1_drop"]
DEVIATIONS = ["top1_sd", "drop_sd"]


def _row(key: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    passed = known(group.integer_passed)
    row = key | {"integer_passed": all(passed) if passed else None}
    seeds = [part[[*MEANS]].mean() for _, part in groups(group, ["seed"])]
    row |= {"seeds": len(seeds)} | {name: _mean(seeds, name) for name in MEANS}
    row |= {"top1_sd": _deviation(seeds, "top1"), "drop_sd": _deviation(seeds, "top1_drop")}
    return row | {name: _middle(group[name]) for name in CARRIED}


def _mean(seeds: list[pd.Series], name: str) -> float:
    return float(np.mean([seed[name] for seed in seeds]))


def _deviation(seeds: list[pd.Series], name: str) -> float:
    """Of the sample; nan for one seed."""
    return float(np.std([seed[name] for seed in seeds], ddof=1)) if len(seeds) > 1 else math.nan


def _middle(values: Any) -> Any:
    """The median of numbers, which equal ones do not change; the last of texts."""
    return values.median() if pd.api.types.is_numeric_dtype(values) else values.iloc[-1]


def _variants(frame: pd.DataFrame) -> list[str]:
    """The choices that vary within a method's rows of equal bits; a digest where none does."""
    names = [""] * len(frame)
    numbered = frame.assign(position=range(len(frame)))
    for _, group in groups(numbered, [*SETTING, "method", "bits"]):
        if len(group) == 1:
            continue
        varying = [c for c in CHOICES if len(set(map(str, group[c]))) > 1]
        texts = [" ".join(_short(row[c]) for c in varying) for row in rows(group)]
        for row, text in zip(rows(group), texts, strict=True):
            same = where(group, [other == text for other in texts])
            names[row["position"]] = f"{text} {_telling(row, same)}".strip()
    return names


def _telling(row: dict[str, Any], same: pd.DataFrame) -> str:
    """What tells a row from others of the same choices: its cost, else a digest."""
    if len(same) == 1:
        return ""
    if same.gbops.nunique() == len(same):
        return f"{row['gbops']:.3g} GBOPS"
    return f"#{row['configuration'][:4]}"


def _short(value: Any) -> str:
    """The last part of a dotted name, a whole number without its point."""
    if isinstance(value, float):
        return f"{value:g} epochs"
    name = str(value).rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name)


ALLOCATIONS = {
    "Cbc": "ILP",
    "Highs": "ILP",
    "RandomFill": "random",
    "ClosedForm": "closed form",
    "Constrained": "mixed",
}
"""How a reader calls the ways to choose widths, where the record's name is another."""


def alike(frame: pd.DataFrame, setting: tuple[Any, ...]) -> pd.DataFrame:
    """The rows of one setting; an unknown value is like another unknown one."""
    equal = [
        frame[key].isna() if pd.isna(value) else frame[key] == value
        for key, value in zip(SETTING, setting, strict=True)
    ]
    return where(frame, np.logical_and.reduce(equal))


def comparable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that compete at a width: those with one, whose weights are quantized.

    Mixed widths have none; runs with float weights show what the rest of a method does alone.
    """
    return where(table, table.bits.notna() & (table.weight != FLOAT))


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """Per setting and bits: the best method and its lead over the best other method.

    Of the rows that are `comparable`. Columns: `SETTING`, bits, `WINNER` and
    `LEAD`: the second's name and seeds, the lead in points, its standard error (nan with one seed)
    and the verdict.
    """
    found = []
    for _, group in groups(comparable(table), [*SETTING, "bits"]):
        best = rows(first_of_each(ordered(group, "top1", descending=True), "method"))
        found.append(best[0] | _lead(best[0], best[1] if len(best) > 1 else None))
    return pd.DataFrame(found, columns=[*SETTING, "bits", *WINNER, *LEAD])


WINNER = ["method", "variant", "activation", "levels", "top1", "top1_sd", "seeds", "top1_drop"]
LEAD = ["second", "second_seeds", "lead", "error", "verdict"]


def _lead(first: dict[str, Any], second: dict[str, Any] | None) -> dict[str, Any]:
    if second is None:
        return {"second": "", "second_seeds": 0, "verdict": "no other method yet"}
    lead = first["top1"] - second["top1"]
    error = math.hypot(*(row["top1_sd"] / row["seeds"] ** 0.5 for row in (first, second)))
    found = {"second": second["method"], "second_seeds": second["seeds"]}
    return found | {"lead": lead, "error": error, "verdict": verdict(lead, error)}


def verdict(lead: float, error: float) -> str:
    """Whether a lead means anything, in words.

    >>> verdict(0.5, 0.1), verdict(0.1, 0.1), verdict(0.5, float("nan"))
    ('clear', 'within noise', 'one seed')
    """
    if not math.isfinite(error):
        return "one seed"
    return "clear" if lead > SCATTER * error else "within noise"


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
