"""The first part of the page: what the runs say together, per data set and network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.charts import charts
from dyadic.report.charts.charts import Point, Series
from dyadic.report.data.frames import first_of_each, groups, known, ordered, rows, where
from dyadic.report.data.runs import mixed
from dyadic.report.data.seeds import (
    ALLOCATIONS,
    SETTING,
    alike,
    comparable,
    finished,
    floor,
    front,
    winners,
)

HEADLINE_BITS = 4
GENERATED = "synthetic"
CLOSE = 1.0
"""Points of top-1 below the float network that a title calls close."""


@dataclass(frozen=True)
class Figure:
    """A chart with the finding as its title and a line on how to read it."""

    title: str
    svg: str
    note: str = ""


def slots(overview: pd.DataFrame) -> dict[str, int]:
    """Colour and shape of every method, the same all over the page."""
    methods = sorted(set(overview.method) - {""})
    return {method: slot for slot, method in enumerate(methods)}


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


def settings(
    overview: pd.DataFrame, table: pd.DataFrame, colours: dict[str, int]
) -> list[dict[str, Any]]:
    """Per data set, network, hardware and float training: headline, winners by bits, charts.

    Those that train on the whole training set come first, the generated data of smoke runs last;
    between these most runs with checked integers, then most runs.
    """
    counted = sorted(
        groups(finished(overview), SETTING),
        key=lambda item: (
            item[0][0] == GENERATED,
            item[1].held_out.iloc[0] > 0,
            -len(known(item[1].integer_passed)),
            -len(item[1]),
        ),
    )
    return [_setting(runs, alike(table, key), colours) for key, runs in counted]


def _setting(runs: pd.DataFrame, table: pd.DataFrame, colours: dict[str, int]) -> dict[str, Any]:
    best, baseline = winners(table), runs.groupby("seed").float_top1.mean().mean()
    figures = {}
    if len(best) > 1:
        figures["top1_against_bits"] = _against_bits(table, best, colours, baseline)
    for cost, label in (("size_mib", "size, MiB"), ("gbops", "bit operations, GBOPS")):
        if len({value for value in known(list(runs[cost])) if value > 0}) > 1:
            figures[f"pareto_{cost}"] = _pareto(runs, cost, label, colours)
    return {
        "dataset": runs.dataset.iloc[0],
        "model": runs.model.iloc[0],
        "hardware": runs.hardware.iloc[0],
        "epochs": _epochs(runs.epochs_baseline.iloc[0]),
        "held_out": f"{runs.held_out.iloc[0]:,.0f}".replace(",", " "),
        "runs": plural(len(runs), "finished run"),
        "float": percent(baseline),
        "headline": headline(best),
        "winners": [_winner(row, where(runs, runs.bits == row["bits"])) for row in rows(best)],
        "figures": figures,
    }


def _epochs(count: float) -> str:
    return plural(int(count), "epoch") if np.isfinite(count) else "unknown length"


def headline(best: pd.DataFrame) -> tuple[str, str]:
    """The answer to "which method wins at 4 bits", and how much it is worth, as two sentences.

    Where nothing ran at 4 bits: the width nearest to it.
    """
    if best.empty:
        return ("No run with a bit width has finished yet.", "")
    row = best.iloc[int((best.bits - HEADLINE_BITS).abs().argmin())]
    score = f"{percent(row.top1, row.top1_sd)} % top-1 on {plural(int(row.seeds), 'seed')}"
    if not row.second:
        return (f"At {row.bits:g} bits only {row.method} has run.", f"{score}.")
    lead = f"{row.lead:.2f} points ahead of {row.second}"
    claims = {
        "clear": (f"At {row.bits:g} bits {row.method} wins, {lead}.", f"{score}."),
        "within noise": (
            f"At {row.bits:g} bits {row.method} and {row.second} cannot be told apart.",
            f"{row.method}: {score}, {lead} ({plural(int(row.second_seeds), 'seed')}), "
            f"less than two standard errors ({2 * row.error:.2f}).",
        ),
        "one seed": (
            f"At {row.bits:g} bits {row.method} leads, {lead}.",
            f"{score}; one seed on either side cannot tell a lead from luck.",
        ),
    }
    return claims[row.verdict]


def _winner(row: dict[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    name = f"{row['method']} {row['variant']}".strip()
    lead = f"{row['lead']:+.2f}" if row["second"] else ""
    noise = f"± {2 * row['error']:.2f}" if np.isfinite(row["error"]) else ""
    return row | {
        "name": name,
        "activations": row["activation"] or "",
        "integers": agreement(runs),
        "shown_levels": f"{row['levels']:g}" if np.isfinite(row["levels"]) else "",
        "score": percent(row["top1"], row["top1_sd"]),
        "lead": lead,
        "noise": noise,
    }


def agreement(runs: pd.DataFrame) -> tuple[str, str]:
    """Whether the integers of these runs agree: a class of the page's style, and words."""
    passed = known(runs.integer_passed)
    if not passed:
        return "muted", "not checked"
    if all(passed):
        return "equal", f"all {len(passed)}" if len(passed) > 1 else "1 run"
    return "differ", f"{len(passed) - sum(passed)} of {len(passed)}"


def _against_bits(
    table: pd.DataFrame, best: pd.DataFrame, colours: dict[str, int], baseline: float
) -> Figure:
    ranked = ordered(comparable(table), "top1", descending=True)
    leading = ordered(first_of_each(ranked, ["method", "bits"]), "bits")
    series = [
        Series(method, colours[method], [_point(row) for row in rows(group)])
        for method, group in groups(leading, ["method"])
    ]
    first, wins = max(groups(best, ["method"]), key=lambda item: len(item[1]))
    title = f"{first} has the highest top-1 at {_listed([f'{b:g}' for b in wins.bits])} bits"
    reference = (baseline, f"float {baseline:.2f}") if np.isfinite(baseline) else None
    low = floor(leading.top1)
    note = "Mean of the seeds, whiskers one standard deviation; per method its best configuration."
    note += " Under the axis: values too low for it." if low is not None else ""
    drawing = charts.lines(
        series, "bits as the paper counts them", "top-1, %", title, reference, low
    )
    return Figure(title, drawing, note)


def _point(row: dict[str, Any]) -> Point:
    name = f"{row['method']} {row['variant']}".strip()
    deviation = row["top1_sd"] if np.isfinite(row["top1_sd"]) else 0.0
    words = f"{name}, {row['bits']:g} bits: {percent(row['top1'], row['top1_sd'])} %, "
    return Point(row["bits"], row["top1"], deviation, words + plural(row["seeds"], "seed"))


def _pareto(runs: pd.DataFrame, cost: str, label: str, colours: dict[str, int]) -> Figure:
    points = where(runs, runs[cost].gt(0))
    best = front(points, cost)
    low = floor(points.top1)
    kinds = points.assign(kind=[kind_of(a) for a in points.allocation])
    series = [
        Series(
            f"{method}, {kind}" if kind else method,
            colours[method],
            [Point(row[cost], row["top1"], hint=_words(row)) for row in rows(group)],
            {"": "dot", "random": "dot faint"}.get(kind, "dot ring"),
        )
        for (method, kind), group in groups(kinds, ["method", "kind"])
    ]
    corners = [
        (row[cost], row["top1"], f"{row['method']} {_bits(row)}")
        for row in rows(best)
        if low is None or row["top1"] >= low
    ]
    title = _cheapest(points, cost, label.rsplit(" ", 1)[-1])
    hidden = int((points.top1 < low).sum()) if low is not None else 0
    note = "Every run; on the line are those that none beats in both. Corner: method and bits."
    note += f" {plural(hidden, 'run')} below {low:.0f} % not drawn." if hidden else ""
    return Figure(title, charts.scatter(series, corners, label, "top-1, %", title, low), note)


def kind_of(allocation: str) -> str:
    """How bits were allocated, where not by one number for all layers."""
    name = allocation.rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name.lower()) if mixed(name) else ""


def _cheapest(runs: pd.DataFrame, cost: str, unit: str) -> str:
    """The cheapest run that is close to its float network, as a sentence."""
    close = where(runs, runs.top1_drop <= CLOSE)
    if close.empty:
        best = rows(ordered(runs, "top1_drop"))[0]
        return f"No run is within {CLOSE:g} point of float; {best['name']} comes nearest"
    best = rows(ordered(close, [cost, "top1_drop"]))[0]
    name = f"{best['method']} at {_bits(best)} {'bit' if _bits(best) == '1' else 'bits'}"
    return f"{name} is within {CLOSE:g} point of float with {best[cost]:.3g} {unit}"


def _bits(row: dict[str, Any]) -> str:
    """The width, or the mean of mixed ones."""
    return f"{row['bits']:g}" if np.isfinite(row["bits"]) else f"{row['mean_bits']:.1f}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _words(row: dict[str, Any]) -> str:
    cost = f"{row['size_mib']:.3g} MiB, {row['gbops']:.3g} GBOPS"
    return f"{row['name']}: {row['top1']:.2f} %, {cost}"
