"""A section per paper: its claims here, its numbers beside ours, the experiments' tables."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.schema import FLOAT_BITS
from dyadic.report.charts.charts import scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.published import drops, methods_of, tables_of
from dyadic.report.page.claims import claim_sections
from dyadic.report.text import cells, numeric, percent, plural

ROWS = 80
NETWORKS = 5
LONG = 24
METRICS = {
    "top1": "top-1, %",
    "top5": "top-5, %",
    "top1_error": "top-1 error, %",
    "top5_error": "top-5 error, %",
    "top1_drop": "top-1 drop, points",
    "top5_drop": "top-5 drop, points",
    "top1_std": "sd of top-1",
    "top1_error_std": "sd of top-1 error",
    "size_mib": "size, MiB",
    "gbops": "GBOPS",
}
PRINTED = {
    **{"table": "table", "row": "row", "network": "network", "data": "data"},
    **{"weight_bits": "W bits", "activation_bits": "A bits", "metric": "metric"},
    **{"value": "value", "baseline": "baseline", "baseline_kind": "baseline is"},
}


def papers(
    published: pd.DataFrame,
    table: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    verdicts: pd.DataFrame,
    colours: dict[str, int],
) -> list[dict[str, Any]]:
    """Every paper with published numbers or claims, by name; then the tables of no paper."""
    names, found, rest = sorted({*published.paper, *verdicts.paper}), [], dict(tables)
    for name in names:
        own, ours = tables_of(name, tables), where(table, table.method.isin(methods_of(name)))
        theirs = where(published, published.paper == name)
        rest = {stem: frame for stem, frame in rest.items() if stem not in own}
        shown = [_shown(stem, frame) for stem, frame in own.items()]
        shown += [_shown("Every published number", _printed(theirs), None)] * bool(len(theirs))
        counts = f"{plural(len(theirs), 'published number')}, "
        counts += f"{plural(int(ours.seeds.sum()), 'run')} of ours"
        section = {"name": name, "source": _sources(theirs.source), "summary": counts}
        section |= {"claims": claim_sections(where(verdicts, verdicts.paper == name))}
        section |= {"figure": _figure(theirs, ours, colours), "tables": shown}
        found.append(section | {"ours": _shown("ours", _ours(ours)) if len(ours) else None})
    if rest:
        other = {"name": "other tables", "source": "", "figure": None, "ours": None, "claims": []}
        other |= {"tables": [_shown(stem, frame) for stem, frame in rest.items()]}
        found.append(other | {"summary": plural(len(rest), "table")})
    return found


def _sources(column: pd.Series) -> str:
    """The source of most numbers, and how many others there are."""
    names = list(column.value_counts().index)
    others = f" and {plural(len(names) - 1, 'other source')}" if len(names) > 1 else ""
    return f"{names[0]}{others}" if names else ""


def _figure(published: pd.DataFrame, ours: pd.DataFrame, colours: dict[str, int]) -> Drawing | None:
    """Loss of top-1 against each one's own float number: the paper's networks hollow, ours full."""
    theirs = drops(published)
    axis = "activation" if theirs.weight_bits.nunique() == 1 else "weight"
    theirs = where(theirs, theirs[f"{axis}_bits"] < FLOAT_BITS)
    measured = where(ours, ours.bits.notna() & ours.top1_drop.notna())
    points = pd.DataFrame([*_their_points(theirs, axis), *_our_points(measured)])
    if points.empty:
        return None
    # One collapse would flatten the rest
    ceiling = max(8.0, 4 * float(np.quantile(points.y, 0.75)))
    far = int((points.y > ceiling).sum())
    note = "Less is better. Hollow: published, each against the float network that it names."
    note += f" {plural(far, 'number')} above {ceiling:.0f} points not drawn." if far else ""
    near = where(points, points.y <= ceiling)
    names = enumerate(dict.fromkeys(near.series))
    slots = {name: colours.get(name.removesuffix(OURS), k) for k, name in names}
    labels = (f"{axis} bits", "drop in top-1, points")
    return scores(_comparison(measured), near, labels, slots, note)


OURS = ", ours"


def _their_points(theirs: pd.DataFrame, axis: str) -> list[dict[str, Any]]:
    """Those of each of the networks with most numbers; all are in the table."""
    counted = sorted(groups(theirs, ["network", "data"]), key=lambda item: -len(item[1]))
    return [
        {"series": f"{network}, {data}", "x": row[f"{axis}_bits"], "y": row["top1_drop"]}
        | {"says": f"{row['table']}, {row['row']}: {row['top1_drop']:.2f}", "solid": False}
        for (network, data), group in counted[:NETWORKS]
        for row in rows(group)
    ]


def _our_points(measured: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"series": f"{row['method']}{OURS}", "x": row["bits"], "y": row["top1_drop"], "solid": True}
        | {"says": f"{row['variant']} {row['model']} on {row['dataset']}: {_drop(row)}".strip()}
        for row in rows(measured)
    ]


def _drop(row: dict[str, Any]) -> str:
    return f"{percent(row['top1_drop'], row['top1_drop_sd'])}, {plural(row['seeds'], 'seed')}"


def _comparison(ours: pd.DataFrame) -> str:
    if ours.empty:
        return "Published drops; no run of ours has finished yet"
    ranked = ordered(ours, "top1_drop")
    best, worst = ranked.iloc[0], ranked.iloc[-1]
    first = f"{best.method} drops by {best.top1_drop:.2f} points at {best.bits:g} bits"
    if len(ours) == 1:
        return first
    return f"{first}, {worst.method} by {worst.top1_drop:.2f} at {worst.bits:g}"


def _printed(published: pd.DataFrame) -> pd.DataFrame:
    """The columns that a reader needs, with the metrics in words."""
    table = published.filter([*PRINTED]).rename(columns=PRINTED)
    return table.assign(metric=[METRICS.get(m, _words(m)) for m in table.metric])


def _ours(ours: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ours": [f"{r['method']} {r['variant']}".strip() for r in rows(ours)],
            "on": [f"{r['model']} on {r['dataset']}" for r in rows(ours)],
            "bits": ours.bits.map("{:g}".format),
            "seeds": ours.seeds,
            "top-1, %": [percent(r["top1"], r["top1_sd"]) for r in rows(ours)],
            "drop": [percent(r["top1_drop"], r["top1_drop_sd"]) for r in rows(ours)],
        }
    )


def _shown(name: str, frame: pd.DataFrame, limit: int | None = ROWS) -> dict[str, Any]:
    """A table as text: columns with whether they are numbers, and rows.

    notes: long texts that a column repeats in every row, said once instead.
    """
    repeated = [c for c in frame if len(set(map(str, frame[c]))) == 1 and _long(frame[c].iloc[0])]
    kept = frame.drop(columns=repeated)
    cut = kept if limit is None else kept.head(limit)
    return {
        "name": _words(name),
        "columns": list(zip(map(_words, cut.columns), numeric(cut), strict=True)),
        "cells": cells(cut),
        "notes": [(_words(c), str(frame[c].iloc[0])) for c in repeated],
        "cut": len(kept) - len(cut),
    }


def _long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONG


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
