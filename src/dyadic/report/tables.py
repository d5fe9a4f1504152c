"""Data frames: operations whose types a checker cannot see, and numbers and tables as text."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
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
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def percent(mean: float, deviation: float = float("nan")) -> str:
    """A top-1 in percent, `92.44 ± 0.08` where it has a standard deviation."""
    return f"{mean:.2f} ± {deviation:.2f}" if np.isfinite(deviation) else f"{mean:.2f}"


def plural(count: int, noun: str) -> str:
    """A count with its noun: `1 seed`, `3 seeds`."""
    return f"{count} {noun}" if count == 1 else f"{count:,} {noun}s".replace(",", " ")


def signed(value: float, decimals: int = 2) -> str:
    """A number with its sign, the typographic minus; "" where there is none.

    >>> signed(-0.3, 1), signed(0.0, 1), signed(1.25)
    ('−0.3', '0.0', '+1.25')
    """
    if value != value:
        return ""
    return f"{value:+.{decimals}f}".replace("-", "−") if round(value, decimals) else "0.0"


def interval(low: float, high: float) -> str:
    """An interval in words, `−0.31 to +0.25`; "" where there is none."""
    return "" if low != low else f"{signed(low)} to {signed(high)}"


def number(value: float, form: str = "g") -> str:
    """A number, "" for nan; what rounds to zero has no sign."""
    return format(float(format(value, form)) + 0.0, form) if np.isfinite(value) else ""


def numeric(frame: pd.DataFrame) -> list[bool]:
    """Which columns are numbers, and so stand to the right."""
    return [pd.api.types.is_numeric_dtype(frame[column]) for column in frame]


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """The rows as text; a column of numbers has as many decimals as the longest of them."""
    found = frame.astype(object)
    for name, column in found.items():
        texts = [f"{value:.5g}" for value in column.dropna() if isinstance(value, float)]
        lengths = [len(text.partition(".")[2]) for text in texts if "e" not in text]
        form = f".{max(lengths, default=0)}f"
        found[name] = [format(v, form) if isinstance(v, float) else str(v) for v in column]
    return found.where(frame.notna(), "").to_numpy().tolist()


def markdown(frame: pd.DataFrame) -> str:
    """A Markdown table; numbers to the right.

    >>> print(markdown(pd.DataFrame({"method": ["inq", "log2"], "top-1": [92.0, 91.75]})))
    | method | top-1 |
    | :-- | --: |
    | inq | 92.00 |
    | log2 | 91.75 |
    """
    lines = [list(map(str, frame.columns)), ["--:" if right else ":--" for right in numeric(frame)]]
    lines += [[text.replace("|", "\\|") for text in row] for row in cells(frame)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def csv(frame: pd.DataFrame) -> str:
    r"""The frame as CSV; a text that a spreadsheet would run has an apostrophe in front.

    >>> csv(pd.DataFrame({"name": ["=1+1", "inq"], "drop": [-0.5, 0.5]}))
    "name,drop\n'=1+1,-0.5\ninq,0.5\n"
    """
    return frame.map(harmless).to_csv(index=False, lineterminator="\n")
