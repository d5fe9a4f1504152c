"""Data frames with exact types: the few operations of pandas that this package needs."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import pandas as pd

COMMANDS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


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


def csv(frame: pd.DataFrame) -> str:
    r"""The frame as CSV; a text that a spreadsheet would run has an apostrophe in front.

    >>> csv(pd.DataFrame({"name": ["=1+1", "inq"], "drop": [-0.5, 0.5]}))
    "name,drop\n'=1+1,-0.5\ninq,0.5\n"
    """
    return frame.map(_harmless).to_csv(index=False, lineterminator="\n")


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(COMMANDS) else value
