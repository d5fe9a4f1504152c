"""Words and tables: numbers as they are printed, Markdown, and the marked block of a README."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dyadic.errors import UserError

DECIMALS = {
    **dict.fromkeys(["float top-1", "float trained on", "top-1", "sd", "drop"], 2),
    **dict.fromkeys(["integer top-1", "published", "difference"], 2),
    **dict.fromkeys(["MiB", "GBOPS", "ms"], 3),
    **dict.fromkeys(["p", "Holm's p"], 4),
}


def percent(mean: float, deviation: float = float("nan")) -> str:
    """A top-1 in percent, with its standard deviation where there is one.

    >>> percent(92.444, 0.078), percent(92.4)
    ('92.44 ± 0.08', '92.40')
    """
    return f"{mean:.2f} ± {deviation:.2f}" if np.isfinite(deviation) else f"{mean:.2f}"


def plural(count: int, noun: str) -> str:
    """A count with its noun.

    >>> plural(1, "seed"), plural(3, "seed")
    ('1 seed', '3 seeds')
    """
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
    """An interval in words; "" where there is none.

    >>> interval(-0.31, 0.25)
    '−0.31 to +0.25'
    """
    return "" if low != low else f"{signed(low)} to {signed(high)}"


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes from an hour on; "" for none.

    >>> duration(75), duration(7500)
    ('1:15 min', '2:05 h')
    """
    large, small = divmod(round(seconds), 60)
    if large < 60:
        return f"{large}:{small:02d} min" if seconds else ""
    return f"{large // 60}:{large % 60:02d} h"


def number(value: float, form: str = "g") -> str:
    """A number, "" for nan."""
    return format(value, form) if np.isfinite(value) else ""


def listed(names: Sequence[str]) -> str:
    """Names in a sentence.

    >>> listed(["3", "4", "5"])
    '3, 4 and 5'
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def numeric(frame: pd.DataFrame) -> list[bool]:
    """Which columns are numbers, and so stand to the right."""
    return [pd.api.types.is_numeric_dtype(frame[column]) for column in frame]


def cells(frame: pd.DataFrame) -> list[list[str]]:
    """The rows as text; a column of numbers has as many decimals as the longest, or `DECIMALS`."""
    columns = [_column(str(name), list(frame[name])) for name in frame]
    return [list(row) for row in zip(*columns, strict=True)]


def _column(name: str, values: list[Any]) -> list[str]:
    texts = [f"{value:.5g}" for value in values if isinstance(value, float) and value == value]
    longest = max([len(text.partition(".")[2]) for text in texts if "e" not in text], default=0)
    return [_cell(value, DECIMALS.get(name, longest)) for value in values]


def _cell(value: Any, decimals: int) -> str:
    if pd.isna(value):
        return ""
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


def markdown(frame: pd.DataFrame) -> str:
    """A Markdown table; numbers to the right.

    >>> print(markdown(pd.DataFrame({"method": ["inq"], "top-1": [92.0]})))
    | method | top-1 |
    | :-- | --: |
    | inq | 92.00 |
    """
    lines = [list(map(str, frame.columns)), ["--:" if right else ":--" for right in numeric(frame)]]
    lines += [[text.replace("|", "\\|") for text in row] for row in cells(frame)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def insert(text: str, block: str, begin: str, end: str) -> str:
    """The text with `block` between two marks; raises UserError where they are missing."""
    head, first, rest = text.partition(begin)
    _, last, tail = rest.partition(end)
    if not (first and last):
        raise UserError(f"the README has no place for the table; add lines {begin} and {end}")
    return f"{head}{begin}\n\n{block.strip()}\n\n{end}{tail}"
