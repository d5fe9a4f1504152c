"""Claims in the page: per paper what held, per experiment a picture and the verdicts."""

from typing import Any

import pandas as pd

from dyadic.report.charts.charts import claims as claim_chart
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import groups, known, rows, where
from dyadic.report.data.seeds import HELD, NOT_HELD
from dyadic.report.data.verdicts import KINDS, WHERE, pair_of
from dyadic.report.text import interval, signed


def claim_sections(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """An experiment each: what held, its verdicts as text, a picture per setting, the command."""
    return [
        {
            "name": name,
            "table": own.table.iloc[0],
            "summary": counted(own),
            "command": command(str(name)),
            "rows": [_row(row) for row in rows(own)],
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


def scores(board: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of `scoreboard` for the page, most evidence first: what is decided, then seeds."""
    ranked = sorted(rows(board), key=lambda r: (-(r[HELD] + r[NOT_HELD]), -r["seeds"]))
    return [
        {"paper": row["paper"], "counts": [(k, row[k]) for k in KINDS], **row} for row in ranked
    ]


def _row(row: dict[str, Any]) -> dict[str, Any]:
    kind = {HELD: "equal", NOT_HELD: "differ"}.get(row["verdict"], "muted")
    return {
        "claim": row["claim"],
        "published": signed(row["published"]),
        "ours": signed(row["difference"]),
        "interval": interval(row["low"], row["high"]),
        "seeds": row["seeds"],
        "says": row["says"],
        "kind": kind,
        "holm": "" if pd.isna(row["holm"]) else f"{row['holm']:.4f}",
        "where": place(row),
    }


def place(row: dict[str, Any]) -> str:
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
    means = means.assign(
        published=means.published.where(near),
        interval=[interval(*pair) for pair in zip(means.low, means.high, strict=True)],
    )
    note = "Dots: seeds. Band: 95 % interval of the mean, which is the tick. Black: the margin."
    note += " P: the paper's own difference, where it is within the picture."
    return claim_chart(f"{counted(own)}: {place(own.iloc[0])}", pd.DataFrame(dots), means, note)
