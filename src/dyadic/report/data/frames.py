"""Data frames with exact types: the few operations of pandas whose results a checker cannot see."""

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from dyadic.record.files import harmless


def where(frame: pd.DataFrame, mask: Any) -> pd.DataFrame:
    """The rows for which the mask (a column of truth values, or a list) holds."""
    return cast(pd.DataFrame, frame.loc[mask])


def ordered(frame: pd.DataFrame, columns: Any, descending: bool = False) -> pd.DataFrame:
    """The rows in ascending (or descending) order of the columns; ties keep their order."""
    return frame.sort_values(columns, ascending=not descending, kind="stable")


def groups(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[Any, pd.DataFrame]]:
    """(key, rows) per combination of values, ascending; a tuple for several columns.

    Empty values form groups of their own.
    """
    found = frame.groupby(columns[0] if len(columns) == 1 else list(columns), dropna=False)
    return cast(Any, list(found))


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row as a mapping from column to value."""
    found = cast(list[dict[str, Any]], frame.to_dict("records"))
    return found or [{} for _ in range(len(frame))]  # pandas before 3 has none without columns


def csv(frame: pd.DataFrame) -> str:
    r"""The frame as CSV; a text that a spreadsheet would run has an apostrophe in front.

    >>> csv(pd.DataFrame({"name": ["=1+1", "inq"], "drop": [-0.5, 0.5]}))
    "name,drop\n'=1+1,-0.5\ninq,0.5\n"
    """
    return frame.map(harmless).to_csv(index=False, lineterminator="\n")
