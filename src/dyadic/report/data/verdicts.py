"""Claims held against the runs: which runs an arm is, and whether a comparison holds.

A table of verdicts has a row a comparison and setting. `STORED` is what is measured; the rest
follows from it (`decided`), so a committed table can be read again without the runs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.read import Record, numbers, read_csv
from dyadic.report.data.claims import (
    FLOAT,
    Arm,
    Claim,
    Comparison,
    published_difference,
)
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import (
    HELD,
    NOT_HELD,
    NOT_RUN,
    SETTING,
    TOO_FEW,
    UNDECIDED,
    Paired,
    by_seed,
    finished,
    holm,
    paired,
)

WHERE = ["dataset", "network", "hardware", "float network"]
"""How the tables call what `SETTING` names."""

STORED = [
    *["experiment", "paper", "table", "claim", "margin", "published", "differences"],
    *["difference", "seeds", *WHERE],
]
DERIVED = ["low", "high", "p", "holm", "verdict", "says"]
VERDICTS = [*STORED, *DERIVED]
KINDS = [HELD, NOT_HELD, UNDECIDED, TOO_FEW, NOT_RUN]


def trials(records: Sequence[Record]) -> pd.DataFrame:
    """The finished runs as `overview` has them, with `config`, their resolved choices."""
    done = finished(overview(list(records)))
    configs = {record.name: record.choices for record in records}
    return done.assign(config=[configs[name] for name in done.name])


def matches(config: Any, wanted: dict[str, Any]) -> bool:
    """Whether a configuration has these values; a missing key is null.

    >>> matches({"bits": 5, "schedule": {"epochs": 3}}, {"schedule.epochs": 3, "deploy": None})
    True
    """
    return all(lookup(config, key) == value for key, value in wanted.items())


def lookup(config: Any, dotted: str) -> Any:
    """The value of a dotted key, None where there is none."""
    for key in dotted.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config


def fitting(arm: Arm, runs: pd.DataFrame) -> pd.DataFrame:
    """All runs that have the arm's values, of whatever setting and configuration."""
    return where(runs, [matches(config, arm.runs) for config in runs.config])


def select(arm: Arm, runs: pd.DataFrame) -> pd.DataFrame:
    """The arm's runs among those of one setting.

    Where several configurations fit (someone trained longer, say), the one with the most seeds,
    and of these the latest.
    """
    found = fitting(arm, runs)
    ranked = [(g.seed.nunique(), g.ended.max(), key) for key, g in groups(found, ["configuration"])]
    return where(found, found.configuration == max(ranked)[2]) if ranked else found


def arms_of(claim: Claim, runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of every arm, among those of one setting."""
    return {name: select(arm, runs) for name, arm in claim.arms.items()}


def judge(comparison: Comparison, arms: dict[str, pd.DataFrame]) -> Paired:
    """Compare the seeds that both arms have; that of `float` comes from the other arm's runs."""
    names = (comparison.better, comparison.worse)
    other = next(name for name in names if name != FLOAT)
    better, worse = (
        by_seed(arms[other], "float_top1") if name == FLOAT else by_seed(arms[name])
        for name in names
    )
    return paired(better, worse, comparison.margin)


def settings_of(claim: Claim, runs: pd.DataFrame) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """(setting, runs) wherever at least one comparison of the claim has a pair of runs."""
    found = []
    for key, group in groups(runs, SETTING):
        arms = arms_of(claim, group)
        if any(judge(comparison, arms).seeds for comparison in claim.comparisons):
            found.append((key, group))
    return found


def verdict_rows(claim: Claim, runs: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """A row for every comparison in every setting of `settings_of`; else one that was not run.

    `DERIVED` is not filled: Holm's correction needs the whole table.
    """
    found = []
    for setting, group in settings_of(claim, runs) or [(("",) * len(WHERE), None)]:
        arms = arms_of(claim, group) if group is not None else {}
        for comparison in claim.comparisons:
            pair = judge(comparison, arms) if arms else Paired(())
            row = {
                "experiment": claim.experiment,
                "paper": claim.paper,
                "table": claim.table,
                "claim": str(comparison),
                "margin": comparison.margin,
                "published": published_difference(comparison, claim, published),
                "differences": _written(pair),
                "difference": pair.mean,
                "seeds": pair.seeds,
            }
            found.append(row | dict(zip(WHERE, setting, strict=True)))
    return pd.DataFrame(found, columns=STORED)


def decided(stored: pd.DataFrame) -> pd.DataFrame:
    """The table with `DERIVED`: the interval, p, Holm's p over a paper's claims, the verdict.

    `verdict` is one of `KINDS`; `says` adds what is missing to a verdict.
    """
    table = stored.reindex(columns=STORED).reset_index(drop=True)
    for name in (*WHERE, "differences"):
        table[name] = table[name].astype(object).where(table[name].notna(), "")
    pairs = [pair_of(row) for row in rows(table)]
    for name in ("low", "high", "p"):
        table[name] = pd.Series([getattr(pair, name) for pair in pairs], dtype=float)
    parts = [holm(group.p) for _, group in groups(table, ["paper"])]
    table["holm"] = pd.concat(parts) if parts else table.p
    table["verdict"] = [pair.verdict for pair in pairs]
    table["says"] = [pair.words() for pair in pairs]
    for column in ("margin", "published", "difference", "low", "high"):
        table[column] = numbers(table[column]).round(2)
    table["p"], table["holm"] = numbers(table.p).round(4), numbers(table.holm).round(4)
    return table.assign(seeds=table.seeds.astype("Int64"))


def _written(pair: Paired) -> str:
    """The differences by seed, as `pair_of` reads them."""
    both = zip(pair.names, pair.differences, strict=True)
    return " ".join(f"{seed}:{difference:.4f}" for seed, difference in both)


def pair_of(row: dict[str, Any]) -> Paired:
    """The differences that a row holds.

    >>> pair_of({"differences": "0:0.5 1:-0.25", "margin": 0.0}).differences
    (0.5, -0.25)
    """
    parts = [part.split(":") for part in str(row["differences"]).split()]
    values = tuple(float(difference) for _, difference in parts)
    return Paired(values, row["margin"], tuple(int(seed) for seed, _ in parts))


def read_verdicts(path: Path) -> pd.DataFrame:
    """A committed table, decided again from what it stores; empty where there is none."""
    return decided(read_csv(path))


def scoreboard(verdicts: pd.DataFrame) -> pd.DataFrame:
    """A row a paper: how many of its comparisons are of each of `KINDS`, and the most seeds."""
    counts = pd.crosstab(verdicts.paper, verdicts.verdict).reindex(columns=KINDS, fill_value=0)
    counts["seeds"] = verdicts.groupby("paper").seeds.max()
    return counts.reset_index()
