"""A section per paper: its claims here as tables and pictures, its numbers beside ours.

The tables and pictures of claims are those of a claim's own page and of the READMEs.
"""

import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.read import read_csv
from dyadic.report.charts import Drawing, declaration
from dyadic.report.data.seeds import KINDS, TOO_FEW
from dyadic.report.data.verdicts import WHERE, pair_of
from dyadic.report.tables import groups, interval, number, rows, signed, where

BAND_NOTE = "Band: the 95 % interval of the mean."
PUBLISHED_NOTE = " Published: the paper's own difference, where it is not far outside."
WIDE = " The axis is even near zero and logarithmic beyond."

LINE, FAR = 66, 15.0  # letters of a claim on a line of its picture; points that are many
TICKS = [-80, -20, -5, 0, 5, 20, 80]
SINGLE = {"mean": "difference", "margin": "margin", "published": "published"}
"""Marks of which a comparison has one, and their columns."""


def papers(tables: Path, verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """Every paper with claims: its verdicts in all and by experiment, and tables of its name.

    tables  folder of the experiments' tables
    """
    found = []
    for name, own in groups(verdicts, ["paper"]):
        claims = sorted(groups(own, ["experiment"]), key=lambda claim: not claim[1].seeds.any())
        names = {path.stem for path in tables.glob(f"*{name}*.csv")} | set(own.experiment)
        shown = {name: read_csv(tables / f"{name}.csv") for name in sorted(names)}
        found.append({"name": name, "verdicts": own, "claims": claims, "tables": shown})
    return found


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
            "Holm's p": ["< 0.0001" if p < 5e-5 else number(p, ".4f") for p in verdicts.holm],
            "on": [place(row) for row in rows(verdicts)],
        }
    )


def counted(verdicts: pd.DataFrame) -> str:
    """How many comparisons are of each kind, in words: `2 held, 1 undecided`."""
    counts = verdicts.verdict.value_counts()
    return ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if kind in counts)


def place(row: Any) -> str:
    """The setting of a verdict in words; "" where nothing has run."""
    data, network, hardware = (str(row[key]) for key in WHERE[:3])
    return f"{network} on {data}, {hardware}" if network else ""


def pictures(verdicts: pd.DataFrame) -> list[Drawing]:
    """A picture for every setting of an experiment whose table holds the seeds' differences."""
    measured = where(verdicts, verdicts.differences != "")
    return [_picture(own) for _, own in groups(measured, WHERE)]


def _picture(own: pd.DataFrame) -> Drawing:
    few = own.verdict == TOO_FEW  # the interval of two seeds would be all that one sees
    table = own.assign(low=own.low.mask(few), high=own.high.mask(few))
    marks = pd.DataFrame(
        {"claim": row["claim"], "verdict": row["verdict"], "mark": mark, "points": points}
        | {"says": f"{name} {signed(points)}"}
        for row in rows(own)
        for mark, name, points in [
            *(("seed", f"seed {n}", value) for n, value in pair_of(row).differences.items()),
            *((name, name, row[column]) for name, column in SINGLE.items()),
        ]
    )
    drawn = [*pd.concat([table.low, table.high, marks.points[marks.mark != "published"]]).dropna()]
    low, high = min(drawn), max(drawn)
    half, far = (high - low or 1.0) / 2, max(-low, high) > FAR
    marks = where(marks, marks.points.between(low - half, high + half))
    table["lines"] = [textwrap.wrap(str(claim), LINE) for claim in own.claim]
    step = 39 + 13 * max(map(len, table.lines))
    declared = declaration(
        "claims",
        height=step * len(own),
        says=9 - step / 2,
        words=22 - step / 2,
        below=step / 2 - 13,
        marks=list(dict.fromkeys(marks.mark)),
        scale="symlog" if far else "linear",
        ticks=[tick for tick in TICKS if low <= tick <= high] if far else None,
    )
    note = BAND_NOTE + PUBLISHED_NOTE * ("published" in set(marks.mark)) + WIDE * far
    data = {"rows": table[["claim", "lines", "says", "verdict", "low", "high"]], "marks": marks}
    return Drawing(f"{counted(own)}: {place(own.iloc[0])}", declared, data, note)
