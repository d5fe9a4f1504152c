"""A section per paper: its published numbers beside ours, and the tables of the experiments."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.charts import charts
from dyadic.report.charts.charts import Point, Series
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.published import drops, methods_of, tables_of
from dyadic.report.page.overview import Figure, percent, plural

ROWS = 80
NETWORKS = 5
LONG = 24
FLOAT_BITS = 32
THEIRS = "dot theirs"
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


def papers(
    published: pd.DataFrame,
    table: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    colours: dict[str, int],
) -> list[dict[str, Any]]:
    """Every paper with published numbers, in alphabetical order; then the tables of no paper."""
    sections = [
        _paper(name, numbers, table, tables_of(name, tables), colours)
        for name, numbers in groups(published, ["paper"])
    ]
    claimed = {stem for name in set(published.paper) for stem in tables_of(name, tables)}
    rest = [_shown(stem, frame) for stem, frame in tables.items() if stem not in claimed]
    if rest:
        other = {"name": "other tables", "source": "", "figure": None, "published": [], "ours": []}
        sections.append(other | {"tables": rest, "summary": plural(len(rest), "table")})
    return sections


def _paper(
    name: str,
    published: pd.DataFrame,
    table: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    colours: dict[str, int],
) -> dict[str, Any]:
    ours = where(table, table.method.isin(methods_of(name)))
    count = plural(len(published), "published number")
    return {
        "name": name,
        "source": _sources(published.source),
        "summary": f"{count}, {plural(int(ours.seeds.sum()), 'run')} of ours",
        "figure": _figure(published, ours, colours),
        "published": _published(published),
        "ours": [_ours(row) for row in rows(ours)],
        "tables": [_shown(stem, frame) for stem, frame in tables.items()],
    }


def _sources(column: pd.Series) -> str:
    """The source of most numbers, and how many others there are."""
    names = list(column.value_counts().index)
    others = f" and {plural(len(names) - 1, 'other source')}" if len(names) > 1 else ""
    return f"{names[0]}{others}"


def _figure(published: pd.DataFrame, ours: pd.DataFrame, colours: dict[str, int]) -> Figure | None:
    """Loss of top-1 against each one's own float number: the paper's networks hollow, ours full."""
    theirs = drops(published)
    axis = "activation" if theirs.weight_bits.nunique() == 1 else "weight"
    theirs = where(theirs, theirs[f"{axis}_bits"] < FLOAT_BITS)
    measured = where(ours, ours.bits.notna() & ours.top1_drop.notna())
    series = [*_theirs(theirs, axis), *_measured(measured, colours)]
    losses = [point.y for s in series for point in s.points]
    if not losses:
        return None
    # One collapse would flatten the rest
    ceiling = max(8.0, 4 * float(np.quantile(losses, 0.75)))
    far = sum(loss > ceiling for loss in losses)
    series = [replace(s, points=[p for p in s.points if p.y <= ceiling]) for s in series]
    note = "Less is better. Hollow: published, each against the float network that it names."
    note += f" {plural(far, 'number')} above {ceiling:.0f} points not drawn." if far else ""
    title, label = _comparison(measured), "drop in top-1, points"
    return Figure(title, charts.scatter(series, [], f"{axis} bits", label, title, whole=True), note)


def _theirs(theirs: pd.DataFrame, axis: str) -> list[Series]:
    """A hollow series for each of the networks with most numbers; all are in the table."""
    counted = sorted(groups(theirs, ["network", "data"]), key=lambda item: -len(item[1]))
    return [
        Series(f"{network}, {data}", slot, [_their_point(row, axis) for row in rows(group)], THEIRS)
        for slot, ((network, data), group) in enumerate(counted[:NETWORKS])
    ]


def _measured(measured: pd.DataFrame, colours: dict[str, int]) -> list[Series]:
    return [
        Series(f"{method}, ours", colours[method], [_our_point(row) for row in rows(group)])
        for method, group in groups(measured, ["method"])
    ]


def _comparison(ours: pd.DataFrame) -> str:
    if ours.empty:
        return "Published drops; no run of ours has finished yet"
    ranked = ordered(ours, "top1_drop")
    best, worst = ranked.iloc[0], ranked.iloc[-1]
    if len(ours) == 1:
        return f"Ours drops by {best.top1_drop:.2f} points at {best.bits:g} bits"
    return (
        f"Ours drops by {best.top1_drop:.2f} points at {best.bits:g} bits"
        f" and {worst.top1_drop:.2f} at {worst.bits:g}"
    )


def _their_point(row: dict[str, Any], axis: str) -> Point:
    words = f"{row['table']}, {row['row']}, {row['network']} on {row['data']}"
    return Point(row[f"{axis}_bits"], row["top1_drop"], hint=f"{words}: {row['top1_drop']:.2f}")


def _our_point(row: dict[str, Any]) -> Point:
    words = f"{row['method']} {row['variant']} on {row['dataset']}, {row['model']}"
    drop = f"{percent(row['top1_drop'], row['drop_sd'])}, {plural(row['seeds'], 'seed')}"
    return Point(row["bits"], row["top1_drop"], hint=f"{words}: {drop}")


def _published(published: pd.DataFrame) -> list[dict[str, str]]:
    """The rows as text; values of one metric have equally many decimals, as in print."""
    decimals = {
        metric: _decimals(list(group.value)) for metric, group in groups(published, ["metric"])
    }
    found = []
    for row in rows(published):
        shown = {key: _cell(row[key]) for key in ("weight_bits", "activation_bits")}
        for key in ("value", "baseline"):
            shown[key] = "" if pd.isna(row[key]) else f"{row[key]:.{decimals[row['metric']]}f}"
        metric = METRICS.get(row["metric"], row["metric"].replace("_", " "))
        found.append(row | shown | {"metric": metric})
    return found


def _ours(row: dict[str, Any]) -> dict[str, str]:
    return {
        "name": f"{row['method']} {row['variant']}".strip(),
        "setting": f"{row['model']} on {row['dataset']}",
        "bits": f"{row['bits']:g}",
        "seeds": f"{row['seeds']}",
        "float": percent(row["float_top1"]),
        "top1": percent(row["top1"], row["top1_sd"]),
        "drop": percent(row["top1_drop"], row["drop_sd"]),
    }


@dataclass(frozen=True)
class Shown:
    """A table as it lies on disk: columns with whether they are numbers, and rows of text.

    notes: long texts that a column repeats in every row, said once instead.
    """

    name: str
    columns: list[tuple[str, bool]]
    cells: list[list[str]]
    notes: list[tuple[str, str]]


def _shown(stem: str, frame: pd.DataFrame) -> Shown:
    repeated = [c for c in frame if len(set(map(str, frame[c]))) == 1 and _long(frame[c].iloc[0])]
    kept = frame.drop(columns=repeated).head(ROWS)
    columns = [(_words(c), pd.api.types.is_numeric_dtype(kept[c])) for c in kept]
    texts = [_aligned(list(kept[c])) for c in kept]
    notes = [(_words(c), str(frame[c].iloc[0])) for c in repeated]
    return Shown(_words(stem), columns, [list(row) for row in zip(*texts, strict=True)], notes)


def _long(value: Any) -> bool:
    return isinstance(value, str) and len(value) > LONG


def _words(name: Any) -> str:
    return str(name).replace("_", " ")


def _aligned(column: list[Any]) -> list[str]:
    """The cells of a column as text; numbers with as many decimals as the longest of them."""
    decimals = _decimals([value for value in column if isinstance(value, float)])
    return [
        f"{value:.{decimals}f}" if isinstance(value, float) and value == value else _cell(value)
        for value in column
    ]


def _decimals(values: list[float]) -> int:
    texts = [f"{value:.5g}" for value in values]
    return max([len(text.partition(".")[2]) for text in texts if "e" not in text], default=0)


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
