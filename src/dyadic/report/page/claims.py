"""Verdicts as a table and as pictures, the same on the page, on a claim's page and in a README."""

from typing import Any

import pandas as pd

from dyadic.report.charts.drawing import Drawing, declaration
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.seeds import KINDS
from dyadic.report.data.verdicts import WHERE, pair_of
from dyadic.report.text import interval, signed

NOTE = (
    "Dots: seeds. Band: 95 % interval of the mean, which is the tick. Black: the margin. "
    "P: the paper's own difference, where it is within the picture."
)


def verdict_table(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Claims, verdicts and what they rest on, in words."""
    return pd.DataFrame(
        {
            "claim": verdicts.claim,
            "verdict": verdicts.says,
            "published": verdicts.published.map(signed),
            "ours": verdicts.difference.map(signed),
            "95 % interval": list(map(interval, verdicts.low, verdicts.high)),
            "by seed": [", ".join(map(signed, pair_of(row).differences)) for row in rows(verdicts)],
            "seeds": verdicts.seeds,
            "Holm's p": [_p(value) for value in verdicts.holm],
            "on": [place(row) for row in rows(verdicts)],
        }
    )


def _p(value: float) -> str:
    return "" if value != value else f"{value:.4f}" if value >= 5e-5 else "< 0.0001"


def counted(verdicts: pd.DataFrame) -> str:
    """How many comparisons are of each kind, in words.

    >>> counted(pd.DataFrame({"verdict": ["held", "held", "undecided"]}))
    '2 held, 1 undecided'
    """
    counts = verdicts.verdict.value_counts()
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts)


def place(row: Any) -> str:
    """The setting of a verdict in words; "" where nothing has run."""
    data, network, hardware = (str(row[key]) for key in WHERE[:3])
    return f"{network} on {data}, {hardware}" if network else ""


def pictures(verdicts: pd.DataFrame) -> list[Drawing]:
    """A picture for every setting of an experiment whose table holds the seeds' differences."""
    told = where(verdicts, verdicts.differences != "")
    return [_picture(own) for _, own in groups(told, WHERE)]


def _picture(own: pd.DataFrame) -> Drawing:
    dots = pd.DataFrame(
        {"claim": row["claim"], "seed": seed, "difference": value, "verdict": row["verdict"]}
        for row in rows(own)
        for pair in [pair_of(row)]
        for seed, value in zip(pair.names, pair.differences, strict=True)
    )
    means = own[["claim", "difference", "low", "high", "margin", "published", "verdict", "says"]]
    drawn = pd.concat([means.low, means.high, means.margin, dots.difference])
    half = (drawn.max() - drawn.min() or 1.0) / 2
    near = means.published.between(drawn.min() - half, drawn.max() + half)
    means = means.assign(
        published=means.published.where(near), interval=list(map(interval, own.low, own.high))
    )
    title = f"{counted(own)}: {place(own.iloc[0])}"
    return Drawing(title, declaration("claims"), {"dots": dots, "means": means}, NOTE)
