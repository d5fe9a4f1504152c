"""The first part of the page: what the runs say together, per data set and network."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.charts import POINT, Drawing, scores
from dyadic.report.data import seeds
from dyadic.report.data.runs import choices_of, differing
from dyadic.report.data.seeds import LEAST, SETTING, done_runs
from dyadic.report.tables import groups, interval, ordered, percent, plural, rows, signed

HEADLINE_BITS, GENERATED = 4, "synthetic"
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
    trained = table.epochs_quantize.map(lambda n: plural(int(n), "epoch") if n > 0 else "")
    parts = zip(table.method, table.allocation, trained, strict=True)
    table = table.assign(series=[", ".join(filter(None, part)) for part in parts])
    done, tables, series = done_runs(runs), dict(groups(table, SETTING)), sorted(set(table.series))
    titles = _titles(ordered(done, SETTING).drop_duplicates(SETTING))
    found = [
        _setting(own, tables[key], series) | {"title": title}
        for (key, own), title in zip(groups(done, SETTING), titles, strict=True)
    ]
    return sorted(found, key=lambda item: (item["dataset"] == GENERATED, item["evidence"]))


def _titles(firsts: pd.DataFrame) -> list[str]:
    """Of a run of every setting: network and data, and what tells it from others of the same."""
    facts = choices_of(firsts, MAKES_SETTING).replace("", "none")
    facts = facts.assign(precision=firsts.precision, hardware=firsts.hardware)
    titles = firsts.model + " on " + firsts.dataset
    for _, own in facts.groupby(titles):
        varying = differing(own)
        for key in sorted(varying, key=lambda key: (key not in MAIN, key))[:3]:
            titles[own.index] += f", {key.split('.')[-1].strip('_')} " + own[key]
    twice = titles.duplicated(keep=False)
    return list(titles.where(~twice, titles + ", float network " + firsts.float_network))


def _setting(runs: pd.DataFrame, table: pd.DataFrame, series: list[str]) -> dict[str, Any]:
    best, baseline = seeds.winners(table), runs.groupby("seed").float_top1.mean().mean()
    own: Any = seeds.quantized(table)
    figures = [_figure(own, x, series, baseline) for x in LABELS if own[x].nunique() > 1]
    first, pairs = runs.iloc[0], runs.drop_duplicates(["method", "seed"])
    # No epochs: the run started from weights that were there
    of = f" of {plural(int(first.epochs_baseline), 'epoch')}" if first.epochs_baseline > 0 else ""
    if first.held_out > 0:
        of += f" without {plural(int(first.held_out), 'held-out image')}"
    summary = f"{plural(len(runs), 'finished run')}, {plural(runs.seed.nunique(), 'seed')}, on "
    return {
        "dataset": first.dataset,
        "evidence": (bool((best.verdict == seeds.ALONE).all()), -len(pairs), -len(runs)),
        "summary": f"{summary}{first.hardware}; float network{of}, top-1 {percent(baseline)} %.",
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
    first, second, pair, bits = row["method"], row["second"], row["pair"], seeds.width_of(row)
    score = f"{first}{seeds.condition(row)}: {percent(row['top1'], row['top1_sd'])} % top-1 on "
    score += plural(int(row["seeds"]), "seed")
    if row["verdict"] == seeds.ALONE:
        said = f"No two methods have run at the same width and training; {first} at {bits}."
        return said, f"{score}."
    more = f"{signed(pair.mean)} points to {second}" if pair.seeds else row["verdict"]
    more += f", 95 % {interval(pair.low, pair.high)}" if pair.seeds >= LEAST else ""
    more = f"{score}; {more}, {plural(pair.seeds, 'paired seed')},"
    more += f" {plural(row['methods'], 'method')} compared."
    said = f"{first} and {second} cannot be told apart."
    if row["verdict"] == seeds.AHEAD:
        said = f"{first} is ahead of {second} by {pair.mean:.2f} points."
    elif pair.seeds < LEAST:
        said = f"{first} has the highest mean, on too few seeds for a verdict."
    return f"At {bits} {said}", more


def _standing(best: pd.DataFrame) -> pd.DataFrame:
    """The winners as the page shows them."""
    shown = {
        "bits": best.bits,
        "method": best.method,
        "with": [seeds.condition(row).removeprefix(" with ") for row in rows(best)],
        "levels": best.levels,
        "top-1, %": list(map(percent, best.top1, best.top1_sd)),
        "seeds": best.seeds,
        "drop": best.top1_drop.round(2),
        "next": best.second,
        "lead": [signed(pair.mean) for pair in best.pair],
        "95 % interval": [interval(pair.low, pair.high) for pair in best.pair],
        "verdict": best.verdict,
        "such as": best.name.str.replace(r"^[^-]*-[^-]*-", "", regex=True),
    }
    return pd.DataFrame(shown)


def _figure(table: pd.DataFrame, x: str, series: list[str], baseline: float) -> Drawing:
    """Every method's best at each width or cost."""
    best, left = seeds.not_collapsed(seeds.leading(table.dropna(subset=x), ["series", x]))
    points = ordered(best, ["series", x]).rename(columns={x: "x", "top1": "y", "top1_sd": "sd"})
    weight = np.where(points.allocation == "random", 0.4, 1.0)
    points = points.assign(joined=x == "bits", weight=weight)
    points["says"] = [
        f"{row['method']}, {seeds.width_of(row)}{seeds.condition(row)}: "
        f"{percent(row['y'], row['sd'])} %, {plural(row['seeds'], 'seed')}, such as {row['name']}"
        for row in rows(points)
    ]
    drawn, axes = points.filter([*POINT, "series", "x", "y"]), (LABELS[x], "top-1, %")
    title = f"Top-1 against {LABELS[x].partition(',')[0]}"
    note = f"Each method's best; means of the seeds, one standard deviation.{left}"
    return scores(title, drawn, axes, domain=series, note=note, reference=baseline)
