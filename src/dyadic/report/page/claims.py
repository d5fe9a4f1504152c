"""Claims in the page: per paper what held, per experiment the verdicts and a picture."""

from typing import Any

import pandas as pd

from dyadic.report.charts.drawing import Drawing, declaration
from dyadic.report.data.frames import groups, known, rows, where
from dyadic.report.data.verdicts import KINDS, WHERE, pair_of
from dyadic.report.text import interval

NOTE = (
    "Dots: seeds. Band: 95 % interval of the mean, which is the tick. Black: the margin. "
    "P: the paper's own difference, where it is within the picture."
)


def claim_sections(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """An experiment each: what held, its verdicts, a picture per setting, the command."""
    return [
        {
            "name": name,
            "table": own.table.iloc[0],
            "summary": counted(own),
            "command": command(str(name)),
            "rows": [row | {"where": place(row)} for row in rows(own)],
            "figures": pictures(own),
        }
        for name, own in groups(verdicts, ["experiment"])
    ]


def command(experiment: str) -> str:
    """What repeats an experiment."""
    return f"python run.py -m +experiments={experiment}"


def counted(verdicts: pd.DataFrame) -> str:
    """How many comparisons are of each kind, in words.

    >>> counted(pd.DataFrame({"verdict": ["held", "held", "undecided"]}))
    '2 held, 1 undecided'
    """
    counts = verdicts.verdict.value_counts()
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts)


def place(row: Any) -> str:
    """The setting of a verdict in words; "" where nothing has run."""
    names = [str(row[key]) for key in WHERE]
    return f"{names[1]} on {names[0]}, {names[2]}" if any(names) else ""


def pictures(verdicts: pd.DataFrame) -> list[Drawing]:
    """A picture for every setting of an experiment whose table holds the seeds' differences."""
    told = where(verdicts, verdicts.differences != "")
    return [_picture(own) for _, own in groups(told, WHERE)]


def _picture(own: pd.DataFrame) -> Drawing:
    dots = [
        {"claim": row["claim"], "seed": seed, "difference": value, "verdict": row["verdict"]}
        for row in rows(own)
        for pair in [pair_of(row)]
        for seed, value in zip(pair.names, pair.differences, strict=True)
    ]
    means = own[["claim", "difference", "low", "high", "margin", "published", "verdict", "says"]]
    drawn = [*known(means.low), *known(means.high), *means.margin, *(d["difference"] for d in dots)]
    reach = max(drawn) - min(drawn) or 1.0
    near = means.published.between(min(drawn) - reach / 2, max(drawn) + reach / 2)
    said = [interval(*ends) for ends in zip(means.low, means.high, strict=True)]
    means = means.assign(published=means.published.where(near), interval=said)
    title = f"{counted(own)}: {place(own.iloc[0])}"
    return Drawing(title, declaration("claims"), {"dots": pd.DataFrame(dots), "means": means}, NOTE)
