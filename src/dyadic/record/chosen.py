"""What an allocation chose, in words: the widths as a strip, the budgets, the predicted time."""

import csv
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

MEASURE_UNITS = {"size": "MiB", "gbops": "GBOPS", "latency": "ms"}


def spent(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """A line for every budget and for the predicted latency; none of a run without a choice.

    >>> spent({"budget": {"gbops": {"limit": 0.5, "used": 0.49}, "latency": {"used": 1.25}}})
    [('budget', '0.49 of 0.5 GBOPS used, 98.0 %'), ('predicted latency', '1.25 ms')]
    """
    budget = summary.get("budget")
    found = budget if isinstance(budget, dict) else {}
    limited = [("budget", _used(n, b)) for n, b in found.items() if b.get("limit") is not None]
    latency = found.get("latency")
    predicted = [("predicted latency", f"{latency['used']:.4g} ms")] if latency else []
    return limited + predicted


def _used(name: str, budget: dict[str, float]) -> str:
    used, limit = budget["used"], budget["limit"]
    share = f", {100 * used / limit:.1f} %" if limit else ""
    return f"{used:.4g} of {limit:.4g} {MEASURE_UNITS.get(name, name)} used{share}"


def widths_of(path: Path) -> list[tuple[float, float]]:
    """The weight and activation bits of every layer in a `layers.csv`; none where there is none."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [
            (float(row["weight_bits"]), float(row["activation_bits"]))
            for row in csv.DictReader(file)
        ]


def strip(widths: Sequence[tuple[float, float]]) -> str:
    """The layers' widths from the input on, as weight/activation bits, repeats counted.

    >>> strip([(8, 8), (4, 4), (4, 4), (8, 8)])
    '8/8 4/4×2 8/8'
    """
    texts = (f"{weight:g}/{activation:g}" for weight, activation in widths)
    runs = ((text, len(list(same))) for text, same in groupby(texts))
    return " ".join(text if count == 1 else f"{text}×{count}" for text, count in runs)
