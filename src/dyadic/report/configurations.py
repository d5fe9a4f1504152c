"""From runs to configurations: seeds joined into mean and standard deviation, and who wins."""

from typing import Any

import numpy as np
import pandas as pd

SETTING = ["dataset", "model"]
CHOICES = ["weight", "activation", "schedule", "allocation", "epochs_quantize"]
CARRIED = ["levels", "size_mib", "gbops", "epochs_baseline", "hardware", *CHOICES]
SCATTER = 2.0
"""A lead counts when it is more than this many standard errors of the difference."""


def configurations(overview: pd.DataFrame) -> pd.DataFrame:
    """One row for the finished runs that differ only in their seed, best first within its bits.

    Columns: dataset, model, method, bits, variant, seeds, top1, top1_sd, float_top1, top1_drop,
    drop_sd, integer_passed, what `CARRIED` names, configuration. Standard deviations are of the
    sample (n - 1), nan for one seed. `variant` says how a row differs from its method's others.
    """
    done = overview[(overview.status == "done") & overview.top1.notna()]
    done = done.drop_duplicates(["configuration", "seed"], keep="last")
    keys = [*SETTING, "method", "bits", "configuration"]
    rows = [
        _row(dict(zip(keys, key, strict=True)), group)
        for key, group in done.groupby(keys, dropna=False)
    ]
    columns = [*keys, "seeds", *MEANS, *DEVIATIONS, "integer_passed", *CARRIED]
    frame = pd.DataFrame(rows, columns=columns)
    frame["variant"] = _variants(frame)
    order = [*SETTING, "bits", "top1"]
    return frame.sort_values(order, ascending=[True, True, True, False], ignore_index=True)


MEANS = ["top1", "float_top1", "top1_drop"]
DEVIATIONS = ["top1_sd", "drop_sd"]


def _row(key: dict[str, Any], group: pd.DataFrame) -> dict[str, Any]:
    passed = [value for value in group.integer_passed if value is not None]
    row = key | {"seeds": len(group), "integer_passed": all(passed) if passed else None}
    row |= {name: group[name].mean() for name in MEANS}
    row |= {"top1_sd": group.top1.std(), "drop_sd": group.top1_drop.std()}
    return row | {name: group[name].iloc[-1] for name in CARRIED}


def _variants(frame: pd.DataFrame) -> list[str]:
    """The choices that vary within a method's rows of equal bits; a digest where none does."""
    names = pd.Series("", index=frame.index)
    for _, group in frame.groupby([*SETTING, "method", "bits"], dropna=False):
        if len(group) == 1:
            continue
        varying = [c for c in CHOICES if group[c].nunique(dropna=False) > 1]
        texts = group[varying].apply(lambda row: " ".join(map(_short, row)), axis=1)
        for index, text in texts.items() if varying else ((i, "") for i in group.index):
            unique = varying and (texts == text).sum() == 1
            digest = f"#{group.configuration[index][:4]}"
            names[index] = text if unique else f"{text} {digest}".strip()
    return list(names)


def _short(value: Any) -> str:
    """The last part of a dotted name, a whole number without its point."""
    if isinstance(value, float):
        return f"{value:g} epochs"
    return str(value).rsplit(".", 1)[-1]


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """Per dataset, model and bits: the best method and its lead over the best other method.

    Columns: dataset, model, bits, method, variant, top1, top1_sd, seeds, top1_drop, second,
    second_seeds, lead (points), error (standard error of the lead, nan with one seed), verdict.
    """
    rows = []
    for (dataset, model, bits), group in table.groupby([*SETTING, "bits"]):
        best = group.sort_values("top1", ascending=False).drop_duplicates("method")
        first = best.iloc[0]
        row = {"dataset": dataset, "model": model, "bits": bits} | {
            name: first[name]
            for name in ("method", "variant", "top1", "top1_sd", "seeds", "top1_drop")
        }
        rows.append(row | _lead(first, best.iloc[1] if len(best) > 1 else None))
    return pd.DataFrame(rows, columns=WINNER_COLUMNS)


WINNER_COLUMNS = [
    *[*SETTING, "bits", "method", "variant", "top1", "top1_sd", "seeds", "top1_drop"],
    *["second", "second_seeds", "lead", "error", "verdict"],
]


def _lead(first: pd.Series, second: pd.Series | None) -> dict[str, Any]:
    if second is None:
        return {"second": "", "second_seeds": 0, "verdict": "no other method yet"}
    lead = first.top1 - second.top1
    error = float(np.hypot(first.top1_sd / first.seeds**0.5, second.top1_sd / second.seeds**0.5))
    return {
        "second": second.method,
        "second_seeds": second.seeds,
        "lead": lead,
        "error": error,
        "verdict": verdict(lead, error),
    }


def verdict(lead: float, error: float) -> str:
    """Whether a lead means anything, in words.

    >>> verdict(0.5, 0.1), verdict(0.1, 0.1), verdict(0.5, float("nan"))
    ('clear', 'within noise', 'one seed')
    """
    if not np.isfinite(error):
        return "one seed"
    return "clear" if lead > SCATTER * error else "within noise"


def front(points: pd.DataFrame, cost: str, gain: str = "top1") -> pd.DataFrame:
    """The rows that no other row beats in cost (less) and gain (more), by ascending cost."""
    ordered = points.dropna(subset=[cost, gain]).sort_values([cost, gain], ascending=[True, False])
    return ordered[ordered[gain] > ordered[gain].cummax().shift(fill_value=-np.inf)]


def floor(values: pd.Series) -> float | None:
    """Where an axis of accuracies may begin so that collapsed runs do not flatten the others.

    None when no value lies further below the best than four times the median does (at least two
    points).
    """
    best, low = values.max(), values.min()
    limit = best - max(4 * (best - values.median()), 2.0)
    return float(limit) if low < limit else None
