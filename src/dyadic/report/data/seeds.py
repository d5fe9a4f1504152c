"""The one place where seeds are joined: means, paired differences, verdicts, who is ahead.

A difference is taken seed by seed, between runs that start from the same float network, so what
the seeds share cancels. Its 95 % interval is Student's t with n - 1 degrees of freedom.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats

from dyadic.record.schema import FLOAT_BITS
from dyadic.report.data.runs import UNQUANTIZED
from dyadic.report.tables import groups, ordered, plural, rows, where

SETTING = ["dataset", "model", "hardware", "float_network"]
"""What runs must share before their top-1 is compared: other float networks are other races."""

LEAST = 5  # seeds below which nothing is decided, however far apart the runs are
MOST = 1000  # seeds beyond which a verdict is called out of reach
CONFIDENCE = 0.95
KINDS = ["held", "did not hold", "undecided", "too few seeds", "not run"]
HELD, NOT_HELD, UNDECIDED, TOO_FEW, NOT_RUN = KINDS

MEANS = ["top1", "float_top1", "top1_drop", "size_mib", "gbops"]
KEYS = [*SETTING, "method", "bits", "configuration"]
LIKE = ["activation_bits", "epochs_quantize"]
"""Beside the setting and the width: what configurations must share before one can be ahead."""

CARRIED = ["name", "levels", "mean_bits", "weight", "allocation", "choices", *LIKE]


def over_seeds(frame: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Per combination of `keys`: the mean of each value over the seeds, `VALUE_sd`, and `seeds`.

    Several runs with one seed (random allocations, whose draws have seeds of their own) count as
    their mean. Standard deviations are of the sample (n - 1), nan for one seed.
    """
    each: Any = frame.groupby([*keys, "seed"], dropna=False)[list(values)].mean()
    joined = each.groupby(level=list(range(len(keys))), dropna=False)
    parts = [joined.mean(), joined.std().add_suffix("_sd"), joined.size().rename("seeds")]
    return pd.concat(parts, axis=1).reset_index()


def by_seed(runs: pd.DataFrame, value: str = "top1") -> pd.Series:
    """A value by seed; several runs of one seed count as their mean."""
    return cast(pd.Series, runs.groupby("seed")[value].mean())


class Paired:
    """Differences by seed, in points, held against a margin; seeds that lack one are left out.

    seeds      how many; mean, sd: of the sample, nan for too few
    low, high  the interval mean ± t(n - 1) · sd / √n
    p          of the two-sided t-test against the margin; nan below `LEAST` seeds
    verdict    held or not where the whole interval lies on one side of the margin

    >>> Paired((0.1, 0.2, 0.1, 0.2, 0.1)).verdict, Paired((0.1, 0.2)).verdict
    ('held', 'too few seeds')
    >>> str(Paired({1: -0.25, 0: 0.5}))
    '0:0.5000 1:-0.2500'
    """

    def __init__(self, differences: Any = (), margin: float = 0.0) -> None:
        self.differences: Any = pd.Series(differences, dtype=float).dropna().sort_index()
        self.margin, self.seeds = margin, len(self.differences)
        self.mean, self.sd = self.differences.mean(), self.differences.std()
        half = _half(self.sd, self.seeds) if self.seeds > 1 else math.nan
        self.low, self.high = self.mean - half, self.mean + half
        t, away = 0.0, abs(self.mean - margin)
        if away > 1e-9:
            t = away / self.sd * math.sqrt(self.seeds) if self.sd > 1e-9 else math.inf
        self.p = 2 * stats.t.sf(t, self.seeds - 1) if self.seeds >= LEAST else math.nan
        self.verdict = UNDECIDED if self.high >= margin else NOT_HELD
        if self.low >= margin - 1e-9:
            self.verdict = HELD
        if self.seeds < LEAST:
            self.verdict = TOO_FEW if self.seeds else NOT_RUN

    def __str__(self) -> str:
        return " ".join(f"{seed:g}:{value:.4f}" for seed, value in self.differences.items())

    def words(self) -> str:
        """The verdict with what is missing to one: seeds, if mean and deviation stay.

        >>> Paired((0.1, 0.2)).words()
        'too few seeds (2 of 5)'
        >>> Paired((0.3, -0.2, 0.4, -0.1, 0.3)).words()
        'undecided (about 17 seeds would decide)'
        """
        if self.verdict == TOO_FEW:
            return f"{TOO_FEW} ({self.seeds} of {LEAST})"
        if self.verdict != UNDECIDED:
            return self.verdict
        counts = np.arange(LEAST, MOST + 1)
        enough = counts[_half(self.sd, counts) <= abs(self.mean - self.margin)]
        needed = f"about {enough[0]}" if len(enough) else f"more than {MOST}"
        return f"{UNDECIDED} ({needed} seeds would decide)"


def _half(sd: float, counts: Any) -> Any:
    return stats.t.ppf((1 + CONFIDENCE) / 2, counts - 1) * sd / np.sqrt(counts)


def holm(p: pd.Series) -> pd.Series:
    """Holm's correction: the p-values that hold for all of them together; nan stays nan.

    >>> holm(pd.Series([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    ascending = p.dropna().sort_values()
    factors = np.arange(len(ascending), 0, -1)
    return (ascending * factors).cummax().clip(upper=1.0).reindex(p.index)


def done_runs(overview: pd.DataFrame) -> pd.DataFrame:
    """The runs that have ended and have a top-1."""
    return where(overview, (overview.status == "done") & overview.top1.notna())


def configurations(overview: pd.DataFrame) -> pd.DataFrame:
    """One row for the finished runs that differ only in their seed, best first within its bits.

    Columns: `KEYS`, those of `over_seeds` for `MEANS`, `by_seed` (top-1), the last run's `CARRIED`,
    `width` (bits, or their mean), and `enough` seeds for a verdict. A method that ran with several
    quantizers of weights is as many, named by its own.
    """
    done = done_runs(overview)
    last = done.drop_duplicates(KEYS, keep="last").filter([*KEYS, *CARRIED])
    frame = over_seeds(done, KEYS, MEANS).merge(last, on=KEYS)
    frame["by_seed"] = pd.Series([by_seed(group) for _, group in groups(done, KEYS)], dtype=object)
    weights = frame.choices.map(_weights).astype(str)
    alike = frame.assign(weights=weights.replace("", None)).groupby([*SETTING, "method"])
    several = (alike.weights.transform("nunique") > 1) & (weights != "")
    frame["method"] += (" (" + weights + ")").where(several, "")
    frame["enough"] = frame.seeds >= LEAST
    frame["width"] = frame.bits.fillna(frame.mean_bits.round(1)).map("{:g}".format)
    return ordered(ordered(frame, "top1", descending=True), [*SETTING, "bits"])


def _weights(choices: dict[str, Any]) -> str:
    """The weights' quantizer, and the base of a logarithmic one; "" where they are float."""
    found = [choices.get(f"quantizer.weight.{key}") for key in ("_target_", "base")]
    return " ".join(str(value).rsplit(".", 1)[-1] for value in found if value is not None)


AHEAD, ALONE = "ahead", "only method at this width and training"
BEHIND, UNSHARED = "behind on the seeds that both have", "no seed that both have"


def quantized(table: pd.DataFrame) -> pd.DataFrame:
    """The rows most of whose weights are quantized: others show what a part of a method does."""
    return where(table, (table.weight != UNQUANTIZED) & ~(table.mean_bits > FLOAT_BITS / 2))


def leading(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The best row per combination of keys, of those on enough seeds where there are any."""
    return ordered(table, ["enough", "top1"], descending=True).drop_duplicates(keys)


def winners(table: pd.DataFrame) -> pd.DataFrame:
    """Per setting, bits and `LIKE`: the method with the highest mean, and its lead over the next.

    Rows of `configurations` that are `quantized`, and not to mixed widths, with the `second`, how
    many `methods` there are, the differences as `pair`, and a `verdict`: `AHEAD`, `ALONE`, ...
    """
    found = []
    for _, group in groups(quantized(table).dropna(subset="bits"), [*SETTING, "bits", *LIKE]):
        best = rows(ordered(leading(group, ["method"]), "top1", descending=True))
        lead = {"second": "", "pair": Paired(()), "verdict": ALONE, "methods": len(best)}
        if len(best) > 1:
            pair = Paired(best[0]["by_seed"] - best[1]["by_seed"])
            words = {HELD: AHEAD if pair.mean > 0 else "equal", NOT_HELD: BEHIND, NOT_RUN: UNSHARED}
            verdict = words.get(pair.verdict, pair.words())
            lead |= {"second": best[1]["method"], "pair": pair, "verdict": verdict}
        found.append(best[0] | lead)
    return pd.DataFrame(found, columns=[*table.columns, "second", "methods", "pair", "verdict"])


def width_of(row: dict[str, Any]) -> str:
    """The bits of a row, in words."""
    return f"{row['width']} {'bit' if row['width'] == '1' else 'bits'}"


def condition(row: dict[str, Any]) -> str:
    """What rows must share to be compared, beside the width, in words."""
    activations, epochs = (row[key] for key in LIKE)
    kind = activations if activations in ("", UNQUANTIZED) else f"{activations}-bit"
    said = [f"{kind} activations"] * bool(kind)
    if epochs == epochs:
        said.append(f"{plural(int(epochs), 'epoch')} of training" if epochs else "no training")
    return " with " * bool(said) + " and ".join(said)


def not_collapsed(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows that do not flatten a chart of the others, and in words how many are left out.

    Left out is what lies four times as far below the best as the median, and at least two points.
    """
    best = table.top1.max()
    low = best - max(4 * (best - table.top1.median()), 2.0)
    left = int((table.top1 < low).sum())
    words = f" {plural(left, 'value')} below {low:.0f} % not drawn." if left else ""
    return where(table, table.top1 >= low), words
