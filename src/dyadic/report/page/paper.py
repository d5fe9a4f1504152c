"""A section per paper: its claims here, its numbers beside ours, the experiments' tables."""

from typing import Any

import pandas as pd

from dyadic.report.data.claims import REPEAT
from dyadic.report.data.frames import groups, where
from dyadic.report.data.published import tables_of
from dyadic.report.page.claims import counted, pictures, verdict_table
from dyadic.report.text import plural

LONG = 24
PRINTED = {
    **{"table": "table", "row": "row", "network": "network", "data": "data"},
    **{"weight_bits": "W bits", "activation_bits": "A bits", "metric": "metric"},
    **{"value": "value", "baseline": "baseline", "baseline_kind": "baseline is"},
}
"""The columns of a published number that a reader needs, and their headings."""


def papers(
    published: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    verdicts: pd.DataFrame,
) -> list[dict[str, Any]]:
    """Every paper with published numbers or claims, by name; then the tables of no paper."""
    found, rest = [], dict(tables)
    for name in sorted({*published.paper, *verdicts.paper}):
        theirs, own = where(published, published.paper == name), tables_of(name, tables)
        rest = {stem: frame for stem, frame in rest.items() if stem not in own}
        shown = [_shown(stem, frame) for stem, frame in own.items()]
        if len(theirs):
            printed = theirs.filter([*PRINTED]).rename(columns=PRINTED)
            shown.append(_shown("Every published number", printed))
        claimed = where(verdicts, verdicts.paper == name)
        said = [plural(len(theirs), "published number")] * bool(len(theirs)) + [counted(claimed)]
        summary = "; ".join(filter(None, said))
        section = {"name": name, "source": _sources(theirs.source), "summary": summary}
        found.append(section | {"claims": _claims(claimed), "tables": shown})
    if rest:
        other = {"name": "other tables", "source": "", "claims": []}
        other |= {"tables": [_shown(stem, frame) for stem, frame in rest.items()]}
        found.append(other | {"summary": plural(len(rest), "table")})
    return found


def _claims(verdicts: pd.DataFrame) -> list[dict[str, Any]]:
    """An experiment each: what held, its verdicts, a picture per setting, the command."""
    return [
        {
            "name": name,
            "title": f"{name}: {own.table.iloc[0]}; {counted(own)}",
            "command": REPEAT.format(name),
            "verdicts": verdict_table(own).drop(columns="by seed"),
            "figures": pictures(own),
        }
        for name, own in groups(verdicts, ["experiment"])
    ]


def _sources(column: pd.Series) -> str:
    """The source of most numbers, and how many others there are."""
    names = list(column.value_counts().index)
    others = f" and {plural(len(names) - 1, 'other source')}" if len(names) > 1 else ""
    return f"{names[0]}{others}" if names else ""


def _shown(name: str, frame: pd.DataFrame) -> dict[str, Any]:
    """A table for the page; long texts that a column repeats in every row are said once, before."""
    named = frame.rename(columns=lambda column: str(column).replace("_", " "))
    repeated = [
        column
        for column in named
        if len(set(named[column])) == 1 and len(str(named[column].iloc[0])) > LONG
    ]
    notes = [f"{column}: {named[column].iloc[0]}" for column in repeated]
    shown = named.drop(columns=repeated)
    return {"name": name.replace("_", " "), "table": shown, "notes": notes}
