"""The first part of the page: what the runs say together, per data set and network."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.read import Record
from dyadic.report.charts.charts import scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.frames import first_of_each, groups, known, ordered, rows, where
from dyadic.report.data.runs import flat, mixed
from dyadic.report.data.seeds import ALLOCATIONS, LEAST, SETTING, finished
from dyadic.report.data.winners import AHEAD, ALONE, comparable, floor, front, winners
from dyadic.report.text import interval, listed, number, percent, plural, signed

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
    "model.width": "width {}",
}
"""How a title says what tells a setting from another of the same network and data."""


def slots(overview: pd.DataFrame) -> dict[str, int]:
    """Colour and shape of every method, the same all over the page."""
    methods = sorted(set(overview.method) - {""})
    return {method: slot for slot, method in enumerate(methods)}


def settings(
    overview: pd.DataFrame, table: pd.DataFrame, records: list[Record]
) -> list[dict[str, Any]]:
    """Per data set, network, hardware and float network: headline, winners by bits, charts.

    The one with the most evidence first: those with a width at which methods can be compared, then
    by pairs of a method and a seed. Generated data come last: they say nothing.
    """
    colours, choices = slots(overview), {record.name: record for record in records}
    grouped = groups(finished(overview), SETTING)
    facts = [_facts(choices[runs.name.iloc[0]], str(key[3])) for key, runs in grouped]
    names = _distinct([(str(key[1]), str(key[0])) for key, _ in grouped], facts)
    tables = [where(table, _alike(table, key)) for key, _ in grouped]
    found = [
        _setting(runs, own, colours) | {"title": name, "evidence": _evidence(runs, own)}
        for (_, runs), own, name in zip(grouped, tables, names, strict=True)
    ]
    return sorted(found, key=lambda item: (item["dataset"] == GENERATED, *item["evidence"]))


def _alike(frame: pd.DataFrame, setting: tuple[Any, ...]) -> Any:
    equal = [frame[key] == value for key, value in zip(SETTING, setting, strict=True)]
    return np.logical_and.reduce(equal)


def _evidence(runs: pd.DataFrame, table: pd.DataFrame) -> tuple[int, int, int]:
    """What sorts by evidence, most first: methods at one width, methods and seeds, runs."""
    methods = comparable(table).groupby("bits").method.nunique()
    pairs = runs[["method", "seed"]].drop_duplicates()
    return -int(methods.gt(1).any()), -len(pairs), -len(runs)


def _facts(record: Record, network: str) -> dict[str, Any]:
    """What of a run's choices makes its setting: data, network, baseline, hardware."""
    choices = flat(record.choices)
    parts = ("dataset.", "model.", "trainer.baseline.", "trainer.hardware.", "start.")
    kept = {key: value for key, value in choices.items() if key.startswith(parts)}
    said = {key: record.summary.get(key) for key in ("precision", "hardware")}
    return kept | said | {"float network": network}


def _distinct(titles: list[tuple[str, str]], facts: list[dict[str, Any]]) -> list[str]:
    """Network and data, and what tells those of the same two apart."""
    found = []
    for title, own in zip(titles, facts, strict=True):
        others = [f for t, f in zip(titles, facts, strict=True) if t == title]
        keys = sorted({key for f in others for key in f}, key=_rank)
        varying = [k for k in keys if len({str(f.get(k)) for f in others}) > 1]
        clear = [k for k in varying if k != "float network"][:3] or varying
        words = [_fact(key, own.get(key)) for key in clear]
        found.append(", ".join([f"{title[0]} on {title[1]}", *words]))
    doubled = {name for name in found if found.count(name) > 1}
    pairs = zip(found, facts, strict=True)
    return [f"{n}, float network {f['float network']}" if n in doubled else n for n, f in pairs]


def _rank(key: str) -> tuple[int, str]:
    known_keys = list(NAMED)
    return (known_keys.index(key) if key in known_keys else len(known_keys), key)


def _fact(key: str, value: Any) -> str:
    return NAMED.get(key, f"{key.rsplit('.', 1)[-1].strip('_')} {{}}").format(value)


def _setting(runs: pd.DataFrame, table: pd.DataFrame, colours: dict[str, int]) -> dict[str, Any]:
    best, baseline = winners(table), runs.groupby("seed").float_top1.mean().mean()
    figures = {}
    if len(best) > 1:
        figures["top1_against_bits"] = _against_bits(table, best, colours, baseline)
    for cost, label in (("size_mib", "size, MiB"), ("gbops", "bit operations, GBOPS")):
        if len({value for value in known(list(runs[cost])) if value > 0}) > 1:
            figures[f"pareto_{cost}"] = _pareto(runs, cost, label, colours)
    held_out = runs.held_out.iloc[0]
    without = f" without {plural(int(held_out), 'held-out image')}" if held_out else ""
    epochs = runs.epochs_baseline.iloc[0]
    of = f" of {plural(int(epochs), 'epoch')}" if np.isfinite(epochs) else ""
    summary = f"{plural(len(runs), 'finished run')}, {plural(runs.seed.nunique(), 'seed')}, on "
    summary += f"{runs.hardware.iloc[0]}; float network{of}{without}, top-1 {percent(baseline)} %."
    return {
        "dataset": runs.dataset.iloc[0],
        "model": runs.model.iloc[0],
        "summary": summary,
        "float": percent(baseline),
        "headline": headline(best),
        "winners": [_winner(row, where(runs, runs.bits == row["bits"])) for row in rows(best)],
        "figures": figures,
    }


def headline(best: pd.DataFrame) -> tuple[str, str]:
    """Which method is ahead where most methods ran, and how sure that is, as two sentences.

    Of widths with as many methods the one nearest to `HEADLINE_BITS`.
    """
    if best.empty:
        return ("No run with a bit width has finished yet.", "")
    ranked = sorted(rows(best), key=lambda r: (-r["methods"], abs(r["bits"] - HEADLINE_BITS)))
    row = ranked[0]
    score = f"{row['method']}: {percent(row['top1'], row['top1_sd'])} % top-1 on "
    score += plural(int(row["seeds"]), "seed")
    bits, pair = _bits(row), row["pair"]
    if row["verdict"] == ALONE:
        return (
            f"No two methods have run at the same width; {row['method']} at {bits}.",
            f"{score}.",
        )
    names = f"{row['method']} and {row['second']}"
    how = f"{signed(pair.mean)} points to {row['second']}"
    if row["verdict"] == AHEAD:
        sure = f"95 % interval {interval(pair.mean - pair.half, pair.mean + pair.half)}"
        said = f"At {bits} {row['method']} is ahead of {row['second']} by {pair.mean:.2f} points."
        return said, f"{score}; {sure}, {plural(pair.seeds, 'paired seed')}, {_of(row)}."
    if 0 < pair.seeds < LEAST:
        said = f"At {bits} {row['method']} has the highest mean, on too few seeds for a verdict."
        return (
            said,
            f"{score}; {how} on {plural(pair.seeds, 'paired seed')} of {LEAST}, {_of(row)}.",
        )
    said = f"At {bits} {names} cannot be told apart."
    return said, f"{score}; {how}, {row['verdict']}, {_of(row)}."


def _of(row: dict[str, Any]) -> str:
    return f"{plural(row['methods'], 'method')} at this width"


def _winner(row: dict[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    pair = row["pair"]
    alone = row["verdict"] == ALONE
    return {
        "bits": f"{row['bits']:g}",
        "name": f"{row['method']} {row['variant']}".strip(),
        "activations": row["activation"] or "",
        "levels": number(row["levels"]),
        "score": percent(row["top1"], row["top1_sd"]),
        "seeds": row["seeds"],
        "drop": f"{row['top1_drop']:.2f}",
        "second": "" if alone else row["second"],
        "lead": signed(pair.mean),
        "interval": interval(pair.mean - pair.half, pair.mean + pair.half),
        "verdict": row["verdict"],
        "ahead": row["verdict"] == AHEAD,
        "integers": agreement(runs),
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
    name = f"{row['method']} {row['variant']}".strip()
    score = percent(row["top1"], row["top1_sd"])
    return f"{name}, {_bits(row)}: {score} %, {plural(row['seeds'], 'seed')}"


def _pareto(runs: pd.DataFrame, cost: str, label: str, colours: dict[str, int]) -> Drawing:
    points = where(runs, runs[cost].gt(0))
    low = floor(points.top1)
    kinds = [kind_of(allocation) for allocation in points.allocation]
    named = [f"{m}, {kind}" if kind else m for m, kind in zip(points.method, kinds, strict=True)]
    drawn = points.assign(x=points[cost], y=points.top1, series=named, solid=[not k for k in kinds])
    drawn["says"] = [_run_words(row) for row in rows(points)]
    drawn["weight"] = [0.4 if kind == "random" else 1.0 for kind in kinds]
    best = front(points if low is None else where(points, points.top1 >= low), cost)
    label_of = [f"{row['method']} {_width(row)}" for row in rows(best)]
    corners = pd.DataFrame({"x": best[cost], "y": best.top1, "label": label_of})
    hidden = int((points.top1 < low).sum()) if low is not None else 0
    note = "Every run; on the line are those that none beats in both. Corner: method and bits."
    note += f" {plural(hidden, 'run')} below {low:.0f} % not drawn." if hidden else ""
    slots = {n: colours[m] for n, m in sorted(zip(named, points.method, strict=True))}
    drawn = drawn.filter(["series", "x", "y", "says", "solid", "weight"])
    title = _cheapest(points, cost, label.rsplit(" ", 1)[-1])
    return scores(title, drawn, (label, "top-1, %"), slots, note, corners, low)


def kind_of(allocation: str) -> str:
    """How bits were allocated, where not by one number for all layers."""
    name = allocation.rsplit(".", 1)[-1]
    return ALLOCATIONS.get(name, name.lower()) if mixed(name) else ""


def _cheapest(runs: pd.DataFrame, cost: str, unit: str) -> str:
    """The least cost that stays close to float, as a sentence."""
    close = where(runs, runs.top1_drop <= CLOSE)
    if close.empty:
        best = rows(ordered(runs, "top1_drop"))[0]
        return f"No run is within {CLOSE:g} point of float; {best['name']} comes nearest"
    best = rows(ordered(close, [cost, "top1_drop"]))[0]
    name = f"{best['method']} at {_bits(best)}, seed {best['seed']:g},"
    return f"{name} is within {CLOSE:g} point of float with {best[cost]:.3g} {unit}"


def _width(row: dict[str, Any]) -> str:
    """The width, or the mean of mixed ones."""
    return f"{row['bits']:g}" if np.isfinite(row["bits"]) else f"{row['mean_bits']:.1f}"


def _bits(row: dict[str, Any]) -> str:
    return f"{_width(row)} {'bit' if _width(row) == '1' else 'bits'}"


def _run_words(row: dict[str, Any]) -> str:
    cost = f"{row['size_mib']:.3g} MiB, {row['gbops']:.3g} GBOPS"
    return f"{row['name']}: {row['top1']:.2f} %, {cost}"
