"""Ratios measured side by side in one run: A B C, B C A, C A B, ... against the first variant."""

import statistics
import time
from collections.abc import Callable, Mapping

PAUSE = 0.05  # seconds; threads of libgomp spin for about ten milliseconds


def measure(variants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every variant in every round, in rotating order.

    Before each timed call come a pause and a call that does not count: the threads of the variant
    before have stopped spinning, and this one's are awake.
    """
    names = list(variants)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(PAUSE)
            variants[name]()
            started = time.perf_counter()
            variants[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def table(seconds: Mapping[str, list[float]], title: str) -> str:
    """Markdown: median milliseconds, the median (smallest-largest) ratio to the first row round by
    round, and the ratio of the fastest quarters, which other work on the machine disturbs least.
    """
    base = next(iter(seconds.values()))
    lines = [f"### {title}", "", "| variant | median ms | ratio (min-max) | of quartiles |"]
    lines.append("|---|---|---|---|")
    for name, times in seconds.items():
        ratios = [t / b for t, b in zip(times, base, strict=True)]
        spread = f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})"
        quartiles = _lower_quartile(times) / _lower_quartile(base)
        milliseconds = 1000 * statistics.median(times)
        lines.append(f"| {name} | {milliseconds:.1f} | {spread} | {quartiles:.2f} |")
    return "\n".join(lines)


def _lower_quartile(times: list[float]) -> float:
    return sorted(times)[len(times) // 4]


def compare(variants: Mapping[str, Callable[[], object]], rounds: int, title: str) -> str:
    """Measure and tabulate."""
    return table(measure(variants, rounds), title)
