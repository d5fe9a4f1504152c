"""Ratios measured side by side in one run: A B C, B C A, C A B, ... against the first variant."""

import statistics
import time
from collections.abc import Callable, Mapping


def measure(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every variant in every round; the order rotates, the first call is not counted."""
    names = list(variants)
    for run in variants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            started = time.perf_counter()
            variants[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def table(seconds: Mapping[str, list[float]], title: str) -> str:
    """Markdown: median milliseconds, and the median (smallest-largest) ratio to the first row."""
    base = next(iter(seconds.values()))
    lines = [f"### {title}", "", "| variant | median ms | ratio (min-max) |", "|---|---|---|"]
    for name, times in seconds.items():
        ratios = [t / b for t, b in zip(times, base, strict=True)]
        spread = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"
        lines.append(f"| {name} | {1000 * statistics.median(times):.1f} | {spread} |")
    return "\n".join(lines)


def compare(variants: Mapping[str, Callable[[], object]], rounds: int, title: str) -> str:
    """Measure and tabulate."""
    return table(measure(variants, rounds), title)
