"""The first part of the page: what the runs say together, per data set and network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.read import Record
from dyadic.report.charts import POINT, scores
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data import winners as ahead
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.runs import flat, kind_of
from dyadic.report.data.seeds import LEAST, SETTING, done_runs
from dyadic.report.text import interval, number, percent, plural, signed

HEADLINE_BITS, GENERATED = 4, "synthetic"
CLOSE = 1.0  # points of top-1 below the float network that a title calls close
MAIN = ["trainer.baseline.epochs", "trainer.hardware.threads", "dataset.holdout"]
"""What a title says first of all that tells a setting from another of the same network and data."""

MAKES_SETTING = ("dataset.", "model.", "trainer.baseline.", "trainer.hardware.", "start.")


def settings(
    runs: pd.DataFrame, table: pd.DataFrame, records: Sequence[Record]
) -> list[dict[str, Any]]:
    """Per data set, network, hardware and float network: headline, winners by bits, charts.

    The one with the most evidence first: those with a width at which methods can be compared, then
    by pairs of a method and a seed, then by runs. Generated data come last: they say nothing.

    runs  of `overview`, table: of `configurations`
    """
    found = []
    table = table.assign(series=list(map(_series, rows(table))))
    table = table.assign(slot=table.series.rank(method="dense").fillna(1).astype(int) - 1)
    done, tables = done_runs(runs), dict(groups(table, SETTING))
    titles = _titles(ordered(done, SETTING).drop_duplicates(SETTING), records)
    for (key, own), title in zip(groups(done, SETTING), titles, strict=True):
        found.append(_setting(own, tables[key]) | {"title": title})
    return sorted(found, key=lambda item: (item["dataset"] == GENERATED, item["evidence"]))


def _titles(firsts: pd.DataFrame, records: Sequence[Record]) -> list[str]:
    """Network and data of every setting, and what tells it from others of the same two.

    firsts  a run of every setting
    """
    choices = {record.name: flat(record.choices) for record in records}
    kept = [
        {k: str(v) for k, v in choices[name].items() if k.startswith(MAKES_SETTING)}
        for name in firsts.name
    ]
    facts = pd.DataFrame(kept, index=firsts.index).fillna("")
    facts = facts.assign(precision=firsts.precision, hardware=firsts.hardware)
    titles = firsts.model + " on " + firsts.dataset
    for _, own in facts.groupby(titles):
        varying = [key for key in [*MAIN, *sorted(own)] if key in own and len(set(own[key])) > 1]
        for key in list(dict.fromkeys(varying))[:3]:
            titles[own.index] += f", {key.split('.')[-1].strip('_')} " + own[key]
    twice = titles.duplicated(keep=False)
    return list(titles.where(~twice, titles + ", float network " + firsts.float_network))


def _setting(runs: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    best, baseline = ahead.winners(table), runs.groupby("seed").float_top1.mean().mean()
    figures = [_against_bits(table, best, baseline)] if len(set(best.bits)) > 1 else []
    for cost, label in (("size_mib", "size, MiB"), ("gbops", "bit operations, GBOPS")):
        costly = where(ahead.quantized(table), ahead.quantized(table)[cost] > 0)
        if len(set(costly[cost])) > 1:
            figures.append(_pareto(costly, cost, label))
    first = runs.iloc[0]
    held_out = plural(int(first.held_out), "held-out image")
    without = f" without {held_out}" if first.held_out else ""
    # No epochs: the run started from weights that were there.
    of = f" of {plural(int(first.epochs_baseline), 'epoch')}" if first.epochs_baseline > 0 else ""
    summary = f"{plural(len(runs), 'finished run')}, {plural(runs.seed.nunique(), 'seed')}, on "
    summary += f"{first.hardware}; float network{of}{without}, top-1 {percent(baseline)} %."
    contested = bool((best.verdict != ahead.ALONE).any())
    pairs = runs[["method", "seed"]].drop_duplicates()
    return {
        "dataset": first.dataset,
        "evidence": (-int(contested), -len(pairs), -len(runs)),
        "summary": summary,
        "float": percent(baseline),
        "headline": headline(best),
        "winners": _standing(best),
        "figures": figures,
    }


def _speaker(best: pd.DataFrame) -> dict[str, Any]:
    """The row that a headline is about: most methods, near `HEADLINE_BITS`, trained longest."""
    nearest = (best.bits - HEADLINE_BITS).abs()
    keys = ["methods", "near", "epochs_quantize"]
    ranked = best.assign(near=-nearest).sort_values(keys, ascending=False, kind="stable")
    return rows(ranked)[0]


def headline(best: pd.DataFrame) -> tuple[str, str]:
    """Which method is ahead where most like methods ran, and how sure that is, in two sentences."""
    if best.empty:
        return ("No run with a bit width has finished yet.", "")
    row = _speaker(best)
    first, second, pair, bits = row["method"], row["second"], row["pair"], ahead.width_of(row)
    score = f"{first}{ahead.alike(row)}: {percent(row['top1'], row['top1_sd'])} % top-1 on "
    score += plural(int(row["seeds"]), "seed")
    if row["verdict"] == ahead.ALONE:
        return (
            f"No two methods have run at the same width and training; {first} at {bits}.",
            score,
        )
    more = f"{signed(pair.mean)} points to {second}" if pair.seeds else ""
    more += f", 95 % {interval(pair.low, pair.high)}" if pair.seeds >= LEAST else ""
    more = f"{score}; {more or row['verdict']}, {plural(pair.seeds, 'paired seed')},"
    more += f" {plural(row['methods'], 'method')} compared."
    if row["verdict"] == ahead.AHEAD:
        return f"At {bits} {first} is ahead of {second} by {pair.mean:.2f} points.", more
    if pair.seeds < LEAST:
        return f"At {bits} {first} has the highest mean, on too few seeds for a verdict.", more
    return f"At {bits} {first} and {second} cannot be told apart.", more


def _series(row: dict[str, Any]) -> str:
    """A method in a chart: how its widths were chosen and how long it trained, where it did."""
    epochs = row["epochs_quantize"]
    trained = plural(int(epochs), "epoch") if epochs > 0 else ""
    return ", ".join(filter(None, [row["method"], kind_of(row["allocation"]), trained]))


def _standing(best: pd.DataFrame) -> pd.DataFrame:
    """The winners as the page shows them."""
    pairs = best.pair.map
    shown = {
        "bits": best.bits,
        "method": (best.method + " " + best.variant).str.strip(),
        "with": [ahead.alike(row).removeprefix(" with ") for row in rows(best)],
        "levels": best.levels,
        "top-1, %": list(map(percent, best.top1, best.top1_sd)),
        "seeds": best.seeds,
        "drop": [number(drop, ".2f") for drop in best.top1_drop],
        "next": best.second,
        "lead": pairs(lambda pair: signed(pair.mean)),
        "95 % interval": pairs(lambda pair: interval(pair.low, pair.high)),
        "verdict": best.verdict,
    }
    return pd.DataFrame(shown)


def _against_bits(table: pd.DataFrame, best: pd.DataFrame, baseline: float) -> Drawing:
    leading = ahead.leading(ahead.comparable(table), ["series", "bits"])
    leading = ordered(leading, "bits").assign(joined=True)
    labels = ("bits as the paper counts them", "top-1, %")
    note = "Per method its best configuration: mean of the seeds, whiskers one standard deviation."
    return _drawn(leading, "bits", labels, _highest(best), note, reference=baseline)


def _drawn(
    table: pd.DataFrame, x: str, labels: tuple[str, str], title: str, note: str, **more: Any
) -> Drawing:
    """A point a configuration, the axis cut under a collapse."""
    low = ahead.axis_start(table.top1)
    if low is not None:
        note += f" {plural(int((table.top1 < low).sum()), 'value')} below {low:.0f} % not drawn."
        table = where(table, table.top1 >= low)
    points = table.assign(
        says=[_words(row) for row in rows(table)],
        weight=np.where(table.allocation.map(kind_of) == "random", 0.4, 1.0),
    ).rename(columns={x: "x", "top1": "y", "top1_sd": "sd"})
    slots = dict(sorted(zip(points.series, points.slot, strict=True)))
    drawn = points.filter([*POINT, "series", "x", "y", "says"])
    return scores(title, drawn, labels, slots, note, low=low, **more)


def _highest(best: pd.DataFrame) -> str:
    """Which method has the highest mean where several ran as in the headline."""
    said = _speaker(best)
    like = dict(groups(best, ahead.LIKE))[said[ahead.LIKE[0]], said[ahead.LIKE[1]]]
    contested = where(like, like.verdict != ahead.ALONE)
    if contested.empty:
        return "At every width only one method has run with one training"
    first, wins = max(groups(contested, ["method"]), key=lambda item: len(item[1]))
    bits = ", ".join(f"{b:g}" for b in wins.bits)
    return f"{first} has the highest mean top-1 at {bits} bits{ahead.alike(said)}"


def _words(row: dict[str, Any]) -> str:
    score = f"{percent(row['top1'], row['top1_sd'])} %, {plural(row['seeds'], 'seed')}"
    return (
        f"{row['method']} {row['variant']}".strip()
        + f", {ahead.width_of(row)}{ahead.alike(row)}: {score}"
    )


def _pareto(table: pd.DataFrame, cost: str, label: str) -> Drawing:
    table = ahead.leading(table, ["series", cost])
    best, low = ahead.front(table, cost), ahead.axis_start(table.top1)
    best = best if low is None else where(best, best.top1 >= low)
    # A label that would lie on the one before it is left out
    near = best[cost].astype(float) < 1.3 * best[cost].astype(float).shift()
    labels = best.width.where(~near, "")
    corners = pd.DataFrame({"x": best[cost], "y": best.top1, "label": labels})
    note = "Per method and cost its best mean over the seeds; on the line, with their bits, are"
    note += " those that none beats in both."
    title = _cheapest(table, cost, label.split(" ")[-1])
    plain = table.assign(top1_sd=0.0)
    return _drawn(plain, cost, (label, "top-1, %"), title, note, corners=corners)


def _cheapest(table: pd.DataFrame, cost: str, unit: str) -> str:
    """The least cost that stays close to float, as a sentence."""
    close = where(table, table.top1_drop <= CLOSE)
    best = rows(ordered(close, [cost, "top1_drop"]) if len(close) else ordered(table, "top1_drop"))
    row, seeds = best[0], plural(int(best[0]["seeds"]), "seed")
    name = f"{row['method']} at {ahead.width_of(row)}{ahead.alike(row)}"
    if close.empty:
        score = f"{percent(row['top1'])} % on {seeds}"
        return f"None is within {CLOSE:g} point of float; {name} comes nearest, {score}"
    return f"{name} is within {CLOSE:g} point of float with {row[cost]:.3g} {unit}, on {seeds}"
