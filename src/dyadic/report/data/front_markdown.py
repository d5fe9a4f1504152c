"""The allocations of a front that runs have trained, as a table: harm, cost and top-1 together."""

from collections.abc import Sequence

import pandas as pd

from dyadic.record.read import Record, numbers
from dyadic.report.data.frames import groups, ordered, where
from dyadic.report.data.fronts import COSTS, layers_of, trainings
from dyadic.report.text import markdown

UNITS = {"size_mib": "MiB", "gbops": "GBOPS", "latency_ms": "ms"}  # by the columns of COSTS


def front_table(front: pd.DataFrame, records: Sequence[Record]) -> str:
    """Markdown, one row an allocation; "" where no run trained any.

    A column of top-1 for every way of training. Random allocations of one budget are one row: the
    mean, ± the standard deviation between them, and their number.
    """
    tables = trainings(front, records)
    if not tables:
        return ""
    one = _distinct(front)
    trained = pd.concat([table.runs > 0 for table in tables], axis=1).any(axis=1)
    named = where(one.assign(allocation=_names(one)), trained.loc[one.index])
    rows = [_row(str(name), group, tables) for name, group in groups(named, ["allocation"])]
    return markdown(ordered(pd.DataFrame(rows), "GBOPS"))


def _distinct(front: pd.DataFrame) -> pd.DataFrame:
    """Random allocations all, but other widths once: uniform, or of the ILP's smallest budget."""
    chosen = pd.concat([where(front, front.source == source) for source in ("uniform", "ilp")])
    first = where(chosen, ~chosen.duplicated(layers_of(front)))
    return where(front, (front.source == "random") | front.index.isin(first.index))


def _names(front: pd.DataFrame) -> list[str]:
    """What stands for a row: the uniform widths, or the source and its budget."""
    layers = layers_of(front)
    inner = layers[1:-1] or layers  # the ends may have widths of their own
    names = []
    for source, share, widths in zip(
        front.source, front.share, front[inner[0]].astype(str), strict=True
    ):
        weight, _, activation = widths.partition("/")
        uniform = f"W{weight}A{activation}"
        names.append(uniform if source == "uniform" else f"{source}, {100 * share:g} %")
    return names


def _row(name: str, group: pd.DataFrame, tables: Sequence[pd.DataFrame]) -> dict[str, object]:
    costs = [column for column in COSTS.values() if column in group]
    row: dict[str, object] = {"allocation": name, "omega": f"{numbers(group.omega).mean():.3g}"}
    row |= {UNITS[column]: numbers(group[column]).mean() for column in costs}
    for table in tables:
        row[f"top-1, {table.training.iloc[0]}"] = _score(table.loc[group.index])
    return row


def _score(scored: pd.DataFrame) -> str:
    """The mean of the allocations that have runs, with their spread where they are several."""
    top1 = numbers(scored.top1).dropna()
    if top1.empty:
        return ""
    several = f" ± {top1.std():.2f} ({len(top1)})" if len(top1) > 1 else ""
    return f"{top1.mean():.2f}{several}"
