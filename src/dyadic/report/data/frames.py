"""Data frames with exact types: the few operations of pandas that this package needs."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pandas as pd


def where(frame: pd.DataFrame, mask: Any) -> pd.DataFrame:
    """The rows for which the mask (a column of truth values, or a list) holds."""
    return cast(pd.DataFrame, frame.loc[mask])


def ordered(
    frame: pd.DataFrame, columns: str | list[str], descending: bool = False
) -> pd.DataFrame:
    """The rows in ascending (or descending) order of the columns; ties keep their order."""
    keys = [columns] if isinstance(columns, str) else columns
    return frame.sort_values(keys, ascending=not descending, kind="stable")


def first_of_each(frame: pd.DataFrame, columns: str | list[str]) -> pd.DataFrame:
    """The first row of every combination of values in the columns."""
    keys = [columns] if isinstance(columns, str) else columns
    return where(frame, ~frame.duplicated(keys))


def groups(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, pd.DataFrame]]:
    """(key, rows) per combination of values, ascending; a tuple for several columns.

    Empty values form groups of their own.
    """
    single = len(columns) == 1
    found = frame.groupby(list(columns), dropna=False)
    return [(key[0] if single else key, rows) for key, rows in cast(Any, found)]


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row as a mapping from column to value."""
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def known(values: Iterable[Any]) -> list[Any]:
    """The values that are neither None nor nan."""
    return [value for value in values if not pd.isna(value)]
