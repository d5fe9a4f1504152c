"""The one place where seeds are joined: means, paired differences with intervals, verdicts.

A difference is taken seed by seed, between runs that start from the same float network, so what
the seeds share cancels. Its 95 % interval is Student's t with n - 1 degrees of freedom.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats

from dyadic.report.data.frames import groups, known, ordered, rows, where

SETTING = ["dataset", "model", "hardware", "float_network"]
"""What runs must share before their top-1 is compared: other float networks are other races."""

LEAST = 5
"""Seeds below which nothing is decided, however far apart the runs are."""

CONFIDENCE = 0.95
MOST = 1000
"""Beyond this many seeds a verdict is called out of reach."""

HELD, NOT_HELD, UNDECIDED, TOO_FEW = "held", "did not hold", "undecided", "too few seeds"
NOT_RUN = "not run"


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


@dataclass(frozen=True)
class Paired:
    """Differences by seed, in points, held against a margin; `names` are the seeds."""

    differences: tuple[float, ...]
    margin: float = 0.0
    names: tuple[int, ...] = ()

    @property
    def seeds(self) -> int:
        """How many pairs there are."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """Mean difference; nan without any."""
        return float(np.mean(self.differences)) if self.differences else math.nan

    @property
    def sd(self) -> float:
        """Standard deviation of the sample; nan for fewer than two."""
        return float(np.std(self.differences, ddof=1)) if self.seeds > 1 else math.nan

    @property
    def half(self) -> float:
        """Half the interval: t(n - 1) · sd / √n; nan for fewer than two seeds."""
        return float(_half(self.sd, self.seeds)) if self.seeds > 1 else math.nan

    @property
    def low(self) -> float:
        """Where the interval begins."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """Where the interval ends."""
        return self.mean + self.half

    @property
    def p(self) -> float:
        """Of the two-sided t-test against the margin; nan below `LEAST` seeds."""
        if self.seeds < LEAST:
            return math.nan
        if not self.sd:
            return float(math.isclose(self.mean, self.margin, abs_tol=1e-9))
        t = abs(self.mean - self.margin) / self.sd * math.sqrt(self.seeds)
        return 2 * float(stats.t.sf(t, self.seeds - 1))

    @property
    def verdict(self) -> str:
        """Held or not where the whole interval lies on one side of the margin.

        >>> Paired((0.1, 0.2, 0.1, 0.2, 0.1)).verdict, Paired((0.1, 0.2)).verdict
        ('held', 'too few seeds')
        """
        if self.seeds < LEAST:
            return TOO_FEW if self.seeds else NOT_RUN
        if self.low >= self.margin - 1e-9:
            return HELD
        return NOT_HELD if self.high < self.margin else UNDECIDED

    @property
    def needed(self) -> int | None:
        """Seeds that would decide it if mean and deviation stay; None where `MOST` would not.

        >>> Paired((0.3, -0.2, 0.4, -0.1, 0.3)).needed
        17
        """
        counts = np.arange(LEAST, MOST + 1)
        enough = counts[_half(self.sd, counts) <= abs(self.mean - self.margin)]
        return int(enough[0]) if len(enough) else None

    def words(self) -> str:
        """The verdict with what is missing to one.

        >>> Paired((0.1, 0.2)).words()
        'too few seeds (2 of 5)'
        """
        if self.verdict == TOO_FEW:
            return f"{TOO_FEW} ({self.seeds} of {LEAST})"
        if self.verdict != UNDECIDED:
            return self.verdict
        needed = f"about {self.needed}" if self.needed else f"more than {MOST}"
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


MEANS = ["top1", "float_top1", "top1_drop", "integer_top1"]
CHOICES = ["weight", "activation", "schedule", "allocation", "epochs_quantize"]
CARRIED = ["levels", "mean_bits", "size_mib", "gbops", *CHOICES]
FLOAT = "float"
"""What a record calls the quantizer of a side that has none."""


def finished(overview: pd.DataFrame) -> pd.DataFrame:
    """The runs that have ended and have a top-1."""
    return where(overview, (overview.status == "done") & overview.top1.notna())


def configurations(overview: pd.DataFrame) -> pd.DataFrame:
    """One row for the finished runs that differ only in their seed, best first within its bits.

    Columns: `SETTING`, method, bits, configuration, those of `over_seeds` for `MEANS`,
    `by_seed` (top-1), integer_passed, what `CARRIED` names, and `variant`, which says how a row
    differs from its method's others.
    """
    done, keys = finished(overview), [*SETTING, "method", "bits", "configuration"]
    if done.empty:
        columns = [*keys, *MEANS, *(f"{m}_sd" for m in MEANS), "seeds", *EXTRA, "variant"]
        return pd.DataFrame(columns=columns)
    joined = over_seeds(done, keys, MEANS)
    extra = pd.DataFrame([_carried(group) for _, group in groups(done, keys)], columns=EXTRA)
    frame = pd.concat([joined, extra], axis=1)
    frame["variant"] = _variants(frame)
    ranked = ordered(ordered(frame, "top1", descending=True), [*SETTING, "bits"])
    return ranked.reset_index(drop=True)


EXTRA = ["by_seed", "integer_passed", *CARRIED]


def _carried(group: pd.DataFrame) -> dict[str, Any]:
    """The median of numbers, which equal ones do not change; the last of texts."""
    passed = known(group.integer_passed)
    row = {"by_seed": by_seed(group), "integer_passed": all(passed) if passed else None}
    plain = group[CARRIED]
    return row | plain.iloc[-1].to_dict() | plain.select_dtypes("number").median().to_dict()


def _variants(frame: pd.DataFrame) -> list[str]:
    """The choices that vary within a method's rows of equal bits; then cost, or a digest."""
    names = pd.Series("", frame.index)
    for _, group in groups(frame, [*SETTING, "method", "bits"]):
        varying = [c for c in CHOICES if len(set(map(str, group[c]))) > 1]
        texts = pd.Series([" ".join(_short(row[c]) for c in varying) for row in rows(group)])
        costs = [f"{cost:.3g} GBOPS" for cost in group.gbops]
        digests = [f"#{digest[:4]}" for digest in group.configuration]
        telling = costs if len(set(costs)) == len(costs) else digests
        alike = texts.duplicated(keep=False)
        said = [
            f"{t} {x}".strip() if d else t for t, x, d in zip(texts, telling, alike, strict=True)
        ]
        names[group.index] = said
    return list(names)


def _short(value: Any) -> str:
    """The last part of a dotted name, a whole number without its point."""
    if isinstance(value, float):
        return f"{value:g} epochs"
    name = str(value).rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name)


ALLOCATIONS = {
    "Cbc": "ILP",
    "Highs": "ILP",
    "ilp": "ILP",
    "RandomFill": "random",
    "ClosedForm": "closed form",
}
"""How a reader calls the ways to choose widths, where the record's name is another."""
