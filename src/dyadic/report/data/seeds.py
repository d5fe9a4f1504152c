"""The one place where seeds are joined: means, paired differences with intervals, verdicts.

A difference is taken seed by seed, between runs that start from the same float network, so what
the seeds share cancels. Its 95 % interval is Student's t with n - 1 degrees of freedom.
"""

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats

from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.runs import RECIPE

SETTING = ["dataset", "model", "hardware", "float_network"]
"""What runs must share before their top-1 is compared: other float networks are other races."""

LEAST = 5  # seeds below which nothing is decided, however far apart the runs are
MOST = 1000  # seeds beyond which a verdict is called out of reach
CONFIDENCE = 0.95
HELD, NOT_HELD, UNDECIDED, TOO_FEW = "held", "did not hold", "undecided", "too few seeds"
NOT_RUN = "not run"
KINDS = [HELD, NOT_HELD, UNDECIDED, TOO_FEW, NOT_RUN]

MEANS = ["top1", "float_top1", "top1_drop", "size_mib", "gbops"]
KEYS = [*SETTING, "method", "bits", "configuration"]
CARRIED = ["levels", "mean_bits", "weight", "allocation", "choices", "activation_bits"]
CARRIED += ["epochs_quantize"]


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
    """Differences by seed, in points, held against a margin.

    names, seeds  which seeds, and how many; mean, sd: of the sample, nan for too few
    low, high     the interval mean ± t(n - 1) · sd / √n
    p             of the two-sided t-test against the margin; nan below `LEAST` seeds
    verdict       held or not where the whole interval lies on one side of the margin

    >>> Paired((0.1, 0.2, 0.1, 0.2, 0.1)).verdict, Paired((0.1, 0.2)).verdict
    ('held', 'too few seeds')
    >>> str(Paired((0.5, -0.25), names=(0, 1)))
    '0:0.5000 1:-0.2500'
    """

    def __init__(
        self, differences: Sequence[float], margin: float = 0.0, names: Sequence[int] = ()
    ) -> None:
        values = np.asarray(differences, dtype=float)
        self.differences, self.margin, self.names = tuple(differences), margin, tuple(names)
        self.seeds = n = len(values)
        self.mean = float(values.mean()) if n else math.nan
        self.sd = float(values.std(ddof=1)) if n > 1 else math.nan
        half = float(_half(self.sd, n)) if n > 1 else math.nan
        self.low, self.high = self.mean - half, self.mean + half
        away = abs(self.mean - margin)
        t = away / self.sd * math.sqrt(n) if self.sd > 1e-9 else 0.0
        t = math.inf if self.sd <= 1e-9 and away > 1e-9 else t
        self.p = 2 * float(stats.t.sf(t, n - 1)) if n >= LEAST else math.nan
        decided = UNDECIDED if self.high >= margin else NOT_HELD
        decided = HELD if self.low >= margin - 1e-9 else decided
        self.verdict = decided if n >= LEAST else TOO_FEW if n else NOT_RUN

    def __str__(self) -> str:
        both = zip(self.names, self.differences, strict=True)
        return " ".join(f"{seed}:{difference:.4f}" for seed, difference in both)

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


def paired(better: pd.Series, worse: pd.Series, margin: float = 0.0) -> Paired:
    """The differences of the seeds that both have; both of `by_seed`."""
    found = (better - worse).dropna().sort_index()
    return Paired(tuple(map(float, found)), margin, tuple(map(int, found.index)))


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

    Columns: `KEYS`, those of `over_seeds` for `MEANS`, `by_seed` (top-1), `CARRIED`, `width` (bits,
    or their mean), `enough` seeds for a verdict, and `variant`, how a row differs from its method's
    others. A method that ran with several quantizers of weights is as many, named by its own.
    """
    done = done_runs(overview)
    last = done.drop_duplicates(KEYS, keep="last").filter([*KEYS, *CARRIED])
    frame = over_seeds(done, KEYS, MEANS).merge(last, on=KEYS)
    frame["by_seed"] = pd.Series([by_seed(group) for _, group in groups(done, KEYS)], dtype=object)
    weights = frame.choices.map(_weights).astype(object)
    several = weights.groupby([frame[key] for key in [*SETTING, "method"]]).transform("nunique") > 1
    named = frame.method + " (" + weights.fillna("") + ")"
    frame["method"] = frame.method.where(~several | weights.isna(), named)
    frame["variant"], frame["enough"] = _variants(frame), frame.seeds >= LEAST
    frame["width"] = frame.bits.fillna(frame.mean_bits.round(1)).map("{:g}".format)
    return ordered(ordered(frame, "top1", descending=True), [*SETTING, "bits"])


def _weights(choices: dict[str, Any]) -> str | None:
    """The weights' quantizer, and the base of a logarithmic one; None where they are float."""
    found = [choices.get(f"quantizer.weight.{key}") for key in ("_target_", "base")]
    said = " ".join(str(value).rsplit(".", 1)[-1] for value in found if value is not None)
    return said or None


def _variants(frame: pd.DataFrame) -> pd.Series:
    """Three choices that vary within a method's rows of equal bits; else cost, or a digest."""
    names = pd.Series("", frame.index, dtype=object)
    for _, group in frame.groupby([*SETTING, "method", "bits"], dropna=False):
        recipes = [{k: v for k, v in c.items() if k.startswith(RECIPE)} for c in group.choices]
        table = pd.DataFrame(recipes, index=group.index).astype(object).fillna("")
        varying = [key for key in table if len(set(table[key].map(str))) > 1]
        shown = table.filter(sorted(varying, key=lambda key: "_target_" not in key)[:3])
        words = [" ".join(filter(None, map(_short, row, row.values()))) for row in rows(shown)]
        said = pd.Series(words, group.index)
        costs, digests = group.gbops.map("{:.3g} GBOPS".format), "#" + group.configuration.str[:4]
        whole = (said + " " + (costs if costs.is_unique else digests)).str.strip()
        names[group.index] = said.where(~said.duplicated(keep=False), whole)
    return names


def _short(key: str, value: Any) -> str:
    """A choice without where it is: `Partition`, `epochs=3`."""
    if value == "" or key.endswith("_target_"):
        return str(value).rsplit(".", 1)[-1]
    return f"{key.rsplit('.', 1)[-1]}={value}"
