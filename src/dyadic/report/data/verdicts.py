"""Claims held against the runs: which runs an arm is, and whether a comparison holds.

A table of verdicts has a row a comparison and setting. `STORED` is what is measured; the rest
follows from it (`decided`), so a committed table can be read again without the runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.errors import UserError
from dyadic.record.read import numbers, read_csv
from dyadic.report.data.claims import BASELINE, Claim, Comparison, published_difference
from dyadic.report.data.seeds import KINDS, SETTING, Paired, by_seed, holm
from dyadic.report.tables import groups, ordered, rows, where

WHERE = ["dataset", "network", "hardware", "float network"]
"""How the tables call what `SETTING` names."""

STORED = [
    *["experiment", "paper", "table", "statement", "claim", "margin", "published", "differences"],
    *["difference", "seeds", *WHERE],
]
DECIDED = ["low", "high", "p", "holm", "verdict", "says"]
PLACES = {"p": 4, "holm": 4}
PLACES |= dict.fromkeys(["margin", "published", "difference", "low", "high"], 2)


@dataclass(frozen=True)
class Trial:
    """A claim in one setting: its place (by `WHERE`) and the runs of every arm."""

    place: dict[str, str]
    arms: dict[str, pd.DataFrame]

    def judge(self, comparison: Comparison) -> Paired:
        """Compare the seeds that both arms have; `float` is the baseline of the other's runs."""
        names = [comparison.better, comparison.worse]
        own = {name: self.arms[name] for name in names if name != BASELINE}
        scores = {name: by_seed(runs) for name, runs in own.items()}
        scores[BASELINE] = by_seed(next(iter(own.values())), "float_top1")
        return Paired(scores[names[0]] - scores[names[1]], comparison.margin)


def matches(config: Any, wanted: dict[str, Any]) -> bool:
    """Whether a configuration has these values by dotted keys; a missing key is null.

    >>> matches({"bits": 5, "schedule": {"epochs": 3}}, {"schedule.epochs": 3, "deploy": None})
    True
    """

    def chosen(node: Any, part: str) -> Any:
        return node.get(part) if isinstance(node, dict) else None

    return all(reduce(chosen, key.split("."), config) == value for key, value in wanted.items())


def trials(claim: Claim, runs: pd.DataFrame) -> tuple[list[Trial], dict[str, pd.DataFrame]]:
    """The claim in every setting where one of its comparisons has a pair; and all that fits.

    Of several configurations that fit an arm (someone trained longer, say) the one with the most
    seeds is the arm, and of these the latest. The second value has all, by arm.

    runs  the finished ones of `overview`

    Raises: UserError where a run fits two arms.
    """
    fits = {
        name: where(runs, [matches(config, arm.runs) for config in runs.config])
        for name, arm in claim.arms.items()
    }
    _check_apart(claim, fits)
    found = []
    for key, _ in groups(pd.concat(fits.values()).drop_duplicates("name"), SETTING):
        own = {n: _most(where(f, (f[SETTING] == list(key)).all(axis=1))) for n, f in fits.items()}
        trial = Trial(dict(zip(WHERE, key, strict=True)), own)
        if any(trial.judge(comparison).seeds for comparison in claim.comparisons):
            found.append(trial)
    return found, fits


def _check_apart(claim: Claim, fits: dict[str, pd.DataFrame]) -> None:
    names = pd.concat([fit.name for fit in fits.values()])
    for run in names[names.duplicated()]:
        arms = " and ".join(name for name, fit in fits.items() if run in set(fit.name))
        message = f"{run} fits {arms}; their `runs` must tell them apart"
        raise UserError(f"experiments/{claim.experiment}.yaml: {message}")


def _most(own: pd.DataFrame) -> pd.DataFrame:
    """The runs of the configuration with the most seeds."""
    ranked = [(g.seed.nunique(), g.ended.max(), key) for key, g in groups(own, ["configuration"])]
    return where(own, own.configuration == max(ranked)[2]) if ranked else own


def verdict_rows(claim: Claim, tried: Sequence[Trial], published: pd.DataFrame) -> pd.DataFrame:
    """A row for every comparison in every setting; where it was not run, one of no setting.

    What follows from `STORED` is not filled: Holm's correction needs the whole table.
    """
    said = {key: getattr(claim, key) for key in STORED[:4]}
    found = []
    for trial in tried or [Trial(dict.fromkeys(WHERE, ""), {})]:
        for comparison in claim.comparisons:
            pair = trial.judge(comparison) if tried else Paired(())
            row = {"claim": str(comparison), "margin": comparison.margin, "seeds": pair.seeds}
            row |= {"differences": str(pair), "difference": pair.mean}
            row["published"] = published_difference(comparison, claim, published)
            found.append(said | row | trial.place)
    return pd.DataFrame(found, columns=STORED)


def decided(stored: pd.DataFrame) -> pd.DataFrame:
    """The table with the interval, p, Holm's p over a paper's claims, and the verdict.

    `verdict` is one of `KINDS`; `says` adds what is missing to a verdict.
    """
    table = stored.reindex(columns=STORED).reset_index(drop=True)
    texts = [*WHERE, "differences", "statement"]
    table[texts] = table[texts].astype(object).fillna("")
    pairs = [pair_of(row) for row in rows(table)]
    found = [(pair.low, pair.high, pair.p, pair.p, pair.verdict, pair.words()) for pair in pairs]
    table = table.join(pd.DataFrame(found, columns=DECIDED))
    table["holm"] = table.groupby("paper").holm.transform(holm)
    for name, places in PLACES.items():
        table[name] = numbers(table[name]).round(places)
    return table.astype({"seeds": "Int64"})


def pair_of(row: dict[str, Any]) -> Paired:
    """The differences that a row holds.

    >>> pair_of({"differences": "0:0.5 1:-0.25", "margin": 0.0}).differences.to_dict()
    {0: 0.5, 1: -0.25}
    """
    parts = (part.split(":") for part in row["differences"].split())
    return Paired({int(seed): float(value) for seed, value in parts}, row["margin"])


def read_verdicts(path: Path) -> pd.DataFrame:
    """A committed table, decided again from what it stores; empty where there is none."""
    return decided(read_csv(path))


def scoreboard(verdicts: pd.DataFrame) -> pd.DataFrame:
    """A row a paper, most verdicts first: its comparisons by `KINDS`, and the most seeds."""
    counts = pd.crosstab(verdicts.paper, verdicts.verdict).reindex(columns=KINDS, fill_value=0)
    counts["most seeds"] = verdicts.groupby("paper").seeds.max()
    counts["order"] = counts[KINDS[:2]].sum(axis=1)
    ranked = ordered(counts, ["order", "most seeds"], descending=True).drop(columns="order")
    return ranked.rename_axis(columns=None).reset_index()
