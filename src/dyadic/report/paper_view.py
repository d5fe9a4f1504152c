"""A section per paper: its published numbers beside ours, and the tables of the experiments."""

from typing import Any

import pandas as pd

from dyadic.report import charts
from dyadic.report.charts import Point, Series
from dyadic.report.overview_view import Figure, percent, plural
from dyadic.report.published import drops, methods_of, tables_of

ROWS = 80
NETWORKS = 5
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
    names = sorted(set(published.paper))
    sections = [
        _paper(name, published[published.paper == name], table, tables_of(name, tables), colours)
        for name in names
    ]
    claimed = {stem for section in sections for stem, *_ in section["tables"]}
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
    ours = table[table.method.isin(methods_of(name))]
    count = plural(len(published), "published number")
    return {
        "name": name,
        "source": _sources(published.source),
        "summary": f"{count}, {plural(int(ours.seeds.sum()), 'run')} of ours",
        "figure": _figure(published, ours, colours),
        "published": [_published(row) for row in published.to_dict("records")],
        "ours": [_ours(row) for row in ours.to_dict("records")],
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
    measured = ours.dropna(subset=["bits", "top1_drop"])
    if theirs.empty and measured.empty:
        return None
    series = [
        Series(label, slot, [_their_point(row) for row in group.to_dict("records")], "dot theirs")
        for slot, (label, group) in enumerate(_networks(theirs))
    ]
    for method, group in measured.groupby("method"):
        points = [_our_point(row) for row in group.to_dict("records")]
        series.append(Series(f"{method}, ours", colours[method], points))
    title = _comparison(measured)
    drawing = charts.scatter(series, [], "weight bits", "drop in top-1, points", title)
    note = "Less is better. Hollow: published, each against the float network that it names."
    return Figure(title, drawing, note)


def _comparison(ours: pd.DataFrame) -> str:
    if ours.empty:
        return "Published drops; no run of ours has finished yet"
    best = ours.sort_values("top1_drop").iloc[0]
    worst = ours.sort_values("top1_drop").iloc[-1]
    if len(ours) == 1:
        return f"Ours drops by {best.top1_drop:.2f} points at {best.bits:g} bits"
    return (
        f"Ours drops by {best.top1_drop:.2f} points at {best.bits:g} bits"
        f" and {worst.top1_drop:.2f} at {worst.bits:g}"
    )


def _networks(theirs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The networks with most numbers; the others are in the table."""
    groups = sorted(theirs.groupby(["network", "data"]), key=lambda item: -len(item[1]))
    return [(f"{net}, {data}", group) for (net, data), group in groups[:NETWORKS]]


def _their_point(row: dict[str, Any]) -> Point:
    words = f"{row['table']}, {row['row']}, {row['network']} on {row['data']}"
    return Point(row["weight_bits"], row["top1_drop"], hint=f"{words}: {row['top1_drop']:.2f}")


def _our_point(row: dict[str, Any]) -> Point:
    words = f"{row['method']} {row['variant']} on {row['dataset']}, {row['model']}"
    drop = f"{percent(row['top1_drop'], row['drop_sd'])}, {plural(row['seeds'], 'seed')}"
    return Point(row["bits"], row["top1_drop"], hint=f"{words}: {drop}")


def _published(row: dict[str, Any]) -> dict[str, str]:
    numbers = ("weight_bits", "activation_bits", "value", "baseline")
    shown = {key: "" if pd.isna(row[key]) else f"{row[key]:g}" for key in numbers}
    return row | shown | {"metric": METRICS.get(row["metric"], row["metric"].replace("_", " "))}


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


def _shown(stem: str, frame: pd.DataFrame) -> tuple[str, list[tuple[str, bool]], list[list[str]]]:
    """(name, columns with whether they are numbers, rows of text) of a table as it lies on disk."""
    columns = [(str(c), pd.api.types.is_numeric_dtype(frame[c])) for c in frame]
    rows = [[_cell(value) for value in row] for row in frame.head(ROWS).to_numpy()]
    return stem, columns, rows


def _cell(value: Any) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
