"""The first part of the page: what the runs say together, per data set and network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.read import Record
from dyadic.report.charts.charts import scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import first_of_each, groups, known, ordered, rows, where
from dyadic.report.data.runs import flat, mixed, overview
from dyadic.report.data.seeds import ALLOCATIONS, LEAST, SETTING, configurations, finished
from dyadic.report.data.winners import AHEAD, ALONE, comparable, floor, front, winners
from dyadic.report.text import interval, listed, percent, plural, signed

HEADLINE_BITS = 4
GENERATED = "synthetic"
CLOSE = 1.0
"""Points of top-1 below the float network that a title calls close."""

NAMED = {
    "trainer.baseline.epochs": "float network of {} epochs",
    "trainer.hardware.threads": "{} threads",
    "dataset.holdout": "{} images held out",
    "precision": "{}",
    "hardware": "{}",
}
"""How a title says what tells a setting from another of the same network and data."""

MAKES_SETTING = ("dataset.", "model.", "trainer.baseline.", "trainer.hardware.", "start.")


def slots(runs: pd.DataFrame) -> dict[str, int]:
    """Colour and shape of every method, the same all over the page."""
    return {method: slot for slot, method in enumerate(sorted(set(runs.method) - {""}))}


def settings(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Per data set, network, hardware and float network: headline, winners by bits, charts.

    The one with the most evidence first: those with a width at which methods can be compared, then
    by pairs of a method and a seed, then by runs. Generated data come last: they say nothing.
    """
    runs = overview(records)
    table, colours = configurations(runs), slots(runs)
    grouped, found = groups(finished(runs), SETTING), []
    for (key, own), title in zip(grouped, _titles(grouped, records), strict=True):
        alike = np.logical_and.reduce([table[k] == v for k, v in zip(SETTING, key, strict=True)])
        found.append(_setting(own, where(table, alike), colours) | {"title": title})
    return sorted(found, key=lambda item: (item["dataset"] == GENERATED, item["evidence"]))


def _titles(grouped: list[tuple[Any, pd.DataFrame]], records: Sequence[Record]) -> list[str]:
    """Network and data of every setting, and what tells it from others of the same two."""
    by_name = {record.name: record for record in records}
    facts = [_facts(by_name[runs.name.iloc[0]], runs.iloc[0]) for _, runs in grouped]
    found = []
    for own in facts:
        others = [other for other in facts if other["title"] == own["title"]]
        order = [*NAMED, *sorted({key for other in others for key in other} - set(NAMED))]
        varying = [k for k in order if len({str(other.get(k)) for other in others}) > 1]
        clear = [k for k in varying if k != "float network"][:3] or varying
        words = [
            NAMED.get(key, f"{key.rsplit('.', 1)[-1].strip('_')} {{}}").format(own.get(key))
            for key in clear
        ]
        found.append(", ".join([own["title"], *words]))
    more = [f", float network {own['float network']}" for own in facts]
    return [n + m if found.count(n) > 1 else n for n, m in zip(found, more, strict=True)]


def _facts(record: Record, row: Any) -> dict[str, Any]:
    """What of a run makes its setting: data, network, baseline, hardware."""
    kept = {k: v for k, v in flat(record.choices).items() if k.startswith(MAKES_SETTING)}
    said = {"precision": row.precision, "hardware": row.hardware}
    return (
        kept | said | {"float network": row.float_network, "title": f"{row.model} on {row.dataset}"}
    )


def _setting(runs: pd.DataFrame, table: pd.DataFrame, colours: dict[str, int]) -> dict[str, Any]:
    best, baseline = winners(table), runs.groupby("seed").float_top1.mean().mean()
    figures = {}
    if len(best) > 1:
        figures["top1_against_bits"] = _against_bits(table, best, colours, baseline)
    for cost, label in (("size_mib", "size, MiB"), ("gbops", "bit operations, GBOPS")):
        if len({value for value in known(list(runs[cost])) if value > 0}) > 1:
            figures[f"pareto_{cost}"] = _pareto(runs, cost, label, colours)
    held_out, epochs = runs.held_out.iloc[0], runs.epochs_baseline.iloc[0]
    without = f" without {plural(int(held_out), 'held-out image')}" if held_out else ""
    # No epochs: the run started from weights that were there.
    of = f" of {plural(int(epochs), 'epoch')}" if np.isfinite(epochs) and epochs else ""
    summary = f"{plural(len(runs), 'finished run')}, {plural(runs.seed.nunique(), 'seed')}, on "
    summary += f"{runs.hardware.iloc[0]}; float network{of}{without}, top-1 {percent(baseline)} %."
    agreed = {bits: agreement(own) for bits, own in groups(runs, ["bits"])}
    contested = bool((best.verdict != ALONE).any())
    pairs = runs[["method", "seed"]].drop_duplicates()
    return {
        "dataset": runs.dataset.iloc[0],
        "evidence": (-int(contested), -len(pairs), -len(runs)),
        "summary": summary,
        "float": percent(baseline),
        "headline": headline(best),
        "winners": [row | {"integers": agreed[row["bits"]]} for row in rows(best)],
        "figures": figures,
    }


def headline(best: pd.DataFrame) -> tuple[str, str]:
    """Which method is ahead where most methods ran, and how sure that is, as two sentences.

    Of widths with as many methods the one nearest to `HEADLINE_BITS`.
    """
    if best.empty:
        return ("No run with a bit width has finished yet.", "")
    row = min(rows(best), key=lambda r: (-r["methods"], abs(r["bits"] - HEADLINE_BITS)))
    first, second, pair, bits = row["method"], row["second"], row["pair"], _bits(row)
    score = f"{first}: {percent(row['top1'], row['top1_sd'])} % top-1 on "
    score += plural(int(row["seeds"]), "seed")
    if row["verdict"] == ALONE:
        return (f"No two methods have run at the same width; {first} at {bits}.", f"{score}.")
    more = f"{signed(pair.mean)} points to {second}" if pair.seeds else ""
    more += f", 95 % {interval(pair.low, pair.high)}" if pair.seeds >= LEAST else ""
    more = f"{score}; {more or row['verdict']}, {plural(pair.seeds, 'paired seed')},"
    more += f" {plural(row['methods'], 'method')} at this width."
    if row["verdict"] == AHEAD:
        return f"At {bits} {first} is ahead of {second} by {pair.mean:.2f} points.", more
    if pair.seeds < LEAST:
        return f"At {bits} {first} has the highest mean, on too few seeds for a verdict.", more
    return f"At {bits} {first} and {second} cannot be told apart.", more


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
) -> Drawing:
    ranked = ordered(comparable(table), "top1", descending=True)
    leading = ordered(first_of_each(ranked, ["method", "bits"]), "bits")
    points = pd.DataFrame(
        {"series": leading.method, "x": leading.bits, "y": leading.top1, "sd": leading.top1_sd}
        | {"says": [_words(row) for row in rows(leading)], "joined": True}
    )
    low = floor(leading.top1)
    note = "Mean of the seeds, whiskers one standard deviation; per method its best configuration."
    note += " Values too low for the axis are left out." if low is not None else ""
    shown = {method: colours[method] for method in sorted(set(leading.method))}
    labels = ("bits as the paper counts them", "top-1, %")
    return scores(_highest(best), points, labels, shown, note, low=low, reference=baseline)


def _highest(best: pd.DataFrame) -> str:
    """Which method has the highest mean where several ran; one alone has not won."""
    contested = where(best, best.verdict != ALONE)
    if contested.empty:
        return "At every width only one method has run"
    first, wins = max(groups(contested, ["method"]), key=lambda item: len(item[1]))
    return f"{first} has the highest mean top-1 at {listed([f'{b:g}' for b in wins.bits])} bits"


def _words(row: dict[str, Any]) -> str:
    score = f"{percent(row['top1'], row['top1_sd'])} %, {plural(row['seeds'], 'seed')}"
    return f"{row['method']} {row['variant']}".strip() + f", {_bits(row)}: {score}"


def _pareto(runs: pd.DataFrame, cost: str, label: str, colours: dict[str, int]) -> Drawing:
    points = where(runs, runs[cost].gt(0))
    low = floor(points.top1)
    kinds = [kind_of(allocation) for allocation in points.allocation]
    named = [f"{m}, {kind}" if kind else m for m, kind in zip(points.method, kinds, strict=True)]
    said = [f"{r['name']}: {r['size_mib']:.3g} MiB, {r['gbops']:.3g} GBOPS" for r in rows(points)]
    drawn = pd.DataFrame(
        {"series": named, "x": points[cost], "y": points.top1, "says": said}
        | {"solid": [not kind for kind in kinds]}
        | {"weight": [0.4 if kind == "random" else 1.0 for kind in kinds]}
    )
    best = front(points if low is None else where(points, points.top1 >= low), cost)
    label_of = [f"{row['method']} {_width(row)}" for row in rows(best)]
    corners = pd.DataFrame({"x": best[cost], "y": best.top1, "label": label_of})
    hidden = int((points.top1 < low).sum()) if low is not None else 0
    note = "Every run; on the line are those that none beats in both. Corner: method and bits."
    note += f" {plural(hidden, 'run')} below {low:.0f} % not drawn." if hidden else ""
    shown = {n: colours[m] for n, m in sorted(zip(named, points.method, strict=True))}
    title = _cheapest(points, cost, label.rsplit(" ", 1)[-1])
    return scores(title, drawn, (label, "top-1, %"), shown, note, corners, low)


def kind_of(allocation: str) -> str:
    """How bits were allocated, where not by one number for all layers."""
    name = allocation.rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name.lower()) if mixed(name) else ""


def _cheapest(runs: pd.DataFrame, cost: str, unit: str) -> str:
    """The least cost that stays close to float, as a sentence."""
    close = where(runs, runs.top1_drop <= CLOSE)
    if close.empty:
        nearest = runs.loc[runs.top1_drop.idxmin()]
        return f"No run is within {CLOSE:g} point of float; {nearest['name']} comes nearest"
    best = rows(ordered(close, [cost, "top1_drop"]))[0]
    name = f"{best['method']} at {_bits(best)}, seed {best['seed']:g},"
    return f"{name} is within {CLOSE:g} point of float with {best[cost]:.3g} {unit}"


def _width(row: dict[str, Any]) -> str:
    """The width, or the mean of mixed ones."""
    return f"{row['bits']:g}" if np.isfinite(row["bits"]) else f"{row['mean_bits']:.1f}"


def _bits(row: dict[str, Any]) -> str:
    return f"{_width(row)} {'bit' if _width(row) == '1' else 'bits'}"
