"""The first part of the page: what the runs say together, per data set and network."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.charts import POINT, Drawing, scores
from dyadic.report.data import winners as ahead
from dyadic.report.data.frames import groups, ordered, rows, where
from dyadic.report.data.seeds import LEAST, SETTING, done_runs
from dyadic.report.text import interval, number, percent, plural, signed

HEADLINE_BITS, GENERATED = 4, "synthetic"
CLOSE = 1.0  # points of top-1 below the float network that a title calls close
MAIN = ["trainer.baseline.epochs", "trainer.hardware.threads", "dataset.holdout"]
"""What a title says first of all that tells a setting from another of the same network and data."""

MAKES_SETTING = ("dataset.", "model.", "trainer.baseline.", "trainer.hardware.", "start.")
LABELS = {
    "bits": "bits of a weight, or of an activation beside float weights",
    "size_mib": "size, MiB",
    "gbops": "bit operations, GBOPS",
}


def settings(runs: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """Per data set, network, hardware and float network: headline, winners by bits, charts.

    The one with the most evidence first: those with a width at which methods can be compared, then
    by pairs of a method and a seed, then by runs. Generated data come last: they say nothing.

    runs  of `overview`, table: of `configurations`
    """
    table = table.assign(series=[_series(row) for row in rows(table)])
    done, tables, series = done_runs(runs), dict(groups(table, SETTING)), sorted(set(table.series))
    titles = _titles(ordered(done, SETTING).drop_duplicates(SETTING))
    found = [
        _setting(own, tables[key], series) | {"title": title}
        for (key, own), title in zip(groups(done, SETTING), titles, strict=True)
    ]
    return sorted(found, key=lambda item: (item["dataset"] == GENERATED, item["evidence"]))


def _titles(firsts: pd.DataFrame) -> list[str]:
    """Network and data of every setting, and what tells it from others of the same two.

    firsts  a run of every setting
    """
    kept = [
        {k: str(v) for k, v in c.items() if k.startswith(MAKES_SETTING)} for c in firsts.choices
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


def _setting(runs: pd.DataFrame, table: pd.DataFrame, series: list[str]) -> dict[str, Any]:
    best, baseline = ahead.winners(table), runs.groupby("seed").float_top1.mean().mean()
    figures = [_against_bits(table, series, baseline)] if best.bits.nunique() > 1 else []
    for cost in ("size_mib", "gbops"):
        costly = where(ahead.quantized(table), ahead.quantized(table)[cost] > 0)
        if len(set(costly[cost])) > 1:
            figures.append(_pareto(costly, series, cost))
    first = runs.iloc[0]
    # No epochs: the run started from weights that were there
    of = f" of {plural(int(first.epochs_baseline), 'epoch')}" if first.epochs_baseline > 0 else ""
    if first.held_out > 0:
        of += f" without {plural(int(first.held_out), 'held-out image')}"
    summary = f"{plural(len(runs), 'finished run')}, {plural(runs.seed.nunique(), 'seed')}, on "
    summary += f"{first.hardware}; float network{of}, top-1 {percent(baseline)} %."
    pairs = runs[["method", "seed"]].drop_duplicates()
    return {
        "dataset": first.dataset,
        "evidence": (not (best.verdict != ahead.ALONE).any(), -len(pairs), -len(runs)),
        "summary": summary,
        "float": percent(baseline),
        "headline": headline(best),
        "winners": _standing(best),
        "figures": figures,
    }


def headline(best: pd.DataFrame) -> tuple[str, str]:
    """Which method is ahead where most like methods ran, and how sure that is, in two sentences.

    Of the rows with most methods that near `HEADLINE_BITS`, and of these the one trained longest.
    """
    if best.empty:
        return ("No run with a bit width has finished yet.", "")
    near = best.assign(near=-(best.bits - HEADLINE_BITS).abs())
    row = rows(ordered(near, ["methods", "near", "epochs_quantize"], descending=True))[0]
    first, second, pair, bits = row["method"], row["second"], row["pair"], ahead.width_of(row)
    score = f"{first}{ahead.condition(row)}: {percent(row['top1'], row['top1_sd'])} % top-1 on "
    score += plural(int(row["seeds"]), "seed")
    if row["verdict"] == ahead.ALONE:
        said = f"No two methods have run at the same width and training; {first} at {bits}."
        return said, f"{score}."
    more = f"{signed(pair.mean)} points to {second}" if pair.seeds else row["verdict"]
    more += f", 95 % {interval(pair.low, pair.high)}" if pair.seeds >= LEAST else ""
    more = f"{score}; {more}, {plural(pair.seeds, 'paired seed')},"
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
    return ", ".join(filter(None, [row["method"], row["allocation"], trained]))


def _standing(best: pd.DataFrame) -> pd.DataFrame:
    """The winners as the page shows them."""
    shown = {
        "bits": best.bits,
        "method": (best.method + " " + best.variant).str.strip(),
        "with": [ahead.condition(row).removeprefix(" with ") for row in rows(best)],
        "levels": best.levels,
        "top-1, %": list(map(percent, best.top1, best.top1_sd)),
        "seeds": best.seeds,
        "drop": [number(drop, ".2f") for drop in best.top1_drop],
        "next": best.second,
        "lead": [signed(pair.mean) for pair in best.pair],
        "95 % interval": [interval(pair.low, pair.high) for pair in best.pair],
        "verdict": best.verdict,
    }
    return pd.DataFrame(shown)


def _against_bits(table: pd.DataFrame, series: list[str], baseline: float) -> Drawing:
    title, note = "Each method's best at its widths", "Means of the seeds, one standard deviation."
    leading = ahead.leading(ahead.comparable(table), ["series", "bits"]).assign(joined=True)
    return _drawn(leading, "bits", title, note, domain=series, reference=baseline)


def _pareto(table: pd.DataFrame, series: list[str], cost: str) -> Drawing:
    table = ahead.leading(table, ["series", cost])
    best, low = ahead.front(table, cost), ahead.axis_start(table.top1)
    best = best if low is None else where(best, best.top1 >= low)
    # A label that would lie on the one before it is left out
    labels = best.width.where(~(best[cost] < 1.3 * best[cost].shift()), "")
    corners = pd.DataFrame({"x": best[cost], "y": best.top1, "label": labels})
    note = "Each method's best mean at each cost; on the line, with their bits, are those that none"
    plain, note = table.assign(top1_sd=0.0), f"{note} beats in both."
    return _drawn(plain, cost, _cheapest(table, cost), note, domain=series, corners=corners)


def _drawn(table: pd.DataFrame, x: str, title: str, note: str, **more: Any) -> Drawing:
    """A point a configuration, the axis cut under a collapse."""
    low = ahead.axis_start(table.top1)
    if low is not None:
        note += f" {plural(int((table.top1 < low).sum()), 'value')} below {low:.0f} % not drawn."
        table = where(table, table.top1 >= low)
    points = ordered(table, ["series", x]).rename(columns={x: "x", "top1": "y", "top1_sd": "sd"})
    points["says"] = [_words(row) for row in rows(points)]
    points["weight"] = np.where(points.allocation == "random", 0.4, 1.0)
    drawn = points.filter([*POINT, "series", "x", "y"])
    return scores(title, drawn, (LABELS[x], "top-1, %"), note=note, low=low, **more)


def _words(row: dict[str, Any]) -> str:
    what = f"{row['method']} {row['variant']}".strip() + f", {ahead.width_of(row)}"
    score = f"{percent(row['y'], row['sd'])} %, {plural(row['seeds'], 'seed')}"
    return f"{what}{ahead.condition(row)}: {score}"


def _cheapest(table: pd.DataFrame, cost: str) -> str:
    """The least cost that stays close to float, as a sentence."""
    close = where(table, table.top1_drop <= CLOSE)
    if close.empty:
        what = LABELS[cost].partition(",")[0]
        return f"None is within {CLOSE:g} point of float, whatever its {what}"
    row = rows(ordered(close, [cost, "top1_drop"]))[0]
    amount = f"{row[cost]:.3g} {LABELS[cost].split(' ')[-1]}"
    name = f"{row['method']} at {ahead.width_of(row)}{ahead.condition(row)}"
    return (
        f"{name} is within {CLOSE:g} point of float at {amount}, on {plural(row['seeds'], 'seed')}"
    )
