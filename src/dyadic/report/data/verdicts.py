"""Claims held against the runs: which runs an arm is, and whether a comparison holds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from dyadic.record.read import Record
from dyadic.report.data.claims import FLOAT, Arm, Claim, Comparison

SCATTER = 2.0
"""A verdict is certain when it is more than this many standard errors away from the other one."""


@dataclass(frozen=True, order=True)
class Setting:
    """What the arms of a comparison have in common: so they start from the same float networks."""

    dataset: str
    network: str
    hardware: str
    precision: str
    baseline_epochs: int
    float_network: str


@dataclass(frozen=True)
class Trial:
    """One finished run: its resolved configuration and its scores in percent."""

    setting: Setting
    config: dict[str, Any]
    configuration: str
    seed: int
    top1: float
    best: float
    float_top1: float
    epochs: int
    ended: str


@dataclass(frozen=True)
class Verdict:
    """A comparison in a setting: the mean difference, its standard error, and what follows."""

    difference: float = math.nan
    error: float = math.nan
    seeds: int = 0
    text: str = "not run"


def trials(records: Sequence[Record]) -> list[Trial]:
    """The finished runs that have a configuration and scores."""
    found = [_trial(record) for record in records if record.status == "done"]
    return [trial for trial in found if trial is not None]


def _trial(record: Record) -> Trial | None:
    try:
        summary, config = record.summary, record.choices
        setting = Setting(
            dataset=str(summary["dataset"]),
            network=str(summary["model"]),
            hardware=str(summary["hardware"]),
            precision=str(summary["precision"]),
            baseline_epochs=int(summary["epochs"]["baseline"]),
            float_network=record.identity["network"],
        )
        top1, history = float(summary["top1"]), record.history()["top1"].dropna()
        return Trial(
            setting=setting,
            config=config,
            configuration=record.identity["experiment"],
            seed=int(summary["seed"]),
            top1=top1,
            best=max([top1, *history]),
            float_top1=float(summary["float_top1"]),
            epochs=int(summary["epochs"]["quantize"]),
            ended=str(summary.get("ended", "")),
        )
    except (OSError, KeyError, TypeError, ValueError):
        return None


def matches(config: Any, wanted: dict[str, Any]) -> bool:
    """Whether a configuration has these values; a missing key is null.

    >>> matches({"bits": 5, "schedule": {"epochs": 3}}, {"schedule.epochs": 3, "deploy": None})
    True
    """
    return all(_lookup(config, key) == value for key, value in wanted.items())


def _lookup(config: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        config = config.get(key) if isinstance(config, dict) else None
    return config


def select(arm: Arm, setting: Setting, runs: Sequence[Trial]) -> dict[int, Trial]:
    """The arm's runs in a setting, by seed.

    Where several configurations fit (someone trained longer, say), the one with the most seeds,
    and of these the latest. Several draws with one seed (random allocations) count as their mean.
    """
    fitting: dict[str, dict[int, list[Trial]]] = {}
    for trial in runs:
        if trial.setting == setting and matches(trial.config, arm.runs):
            seeds = fitting.setdefault(trial.configuration, {})
            seeds.setdefault(trial.seed, []).append(trial)
    means = [{seed: _mean(draws) for seed, draws in seeds.items()} for seeds in fitting.values()]
    return max(means, key=lambda g: (len(g), max(t.ended for t in g.values())), default={})


def _mean(draws: list[Trial]) -> Trial:
    """Draws of one seed as one trial: mean scores, the rest from the latest."""
    return replace(
        max(draws, key=lambda trial: trial.ended),
        top1=statistics.fmean(trial.top1 for trial in draws),
        best=statistics.fmean(trial.best for trial in draws),
    )


def chosen_arms(
    claim: Claim, setting: Setting, runs: Sequence[Trial]
) -> dict[str, dict[int, Trial]]:
    """The runs of every arm in a setting, by arm and seed."""
    return {name: select(arm, setting, runs) for name, arm in claim.arms.items()}


def told(claim: Claim, runs: Sequence[Trial]) -> list[Setting]:
    """The settings in which at least one comparison of the claim has the seeds it needs."""
    found = []
    for setting in sorted({trial.setting for trial in runs}):
        chosen = chosen_arms(claim, setting, runs)
        seeds = [judge(comparison, claim, chosen).seeds for comparison in claim.comparisons]
        if max(seeds) >= claim.seeds:
            found.append(setting)
    return found


def judge(comparison: Comparison, claim: Claim, chosen: dict[str, dict[int, Trial]]) -> Verdict:
    """Compare the seeds that both arms have; `chosen` is that of `chosen_arms`."""
    better, worse = (_scores(name, comparison, chosen) for name in _names(comparison))
    differences = [better[seed] - worse[seed] for seed in sorted(better.keys() & worse.keys())]
    seeds = len(differences)
    if seeds < claim.seeds:
        found = f" ({seeds} of {claim.seeds} seeds)" if seeds else ""
        return Verdict(seeds=seeds, text=f"not run{found}")
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(seeds) if seeds > 1 else math.nan
    return Verdict(mean, error, seeds, verdict(mean, error, comparison.margin))


def _names(comparison: Comparison) -> tuple[str, str]:
    return comparison.better, comparison.worse


def _scores(
    name: str, comparison: Comparison, chosen: dict[str, dict[int, Trial]]
) -> dict[int, float]:
    """Top-1 by seed; that of the float baseline comes from the other arm's runs."""
    if name != FLOAT:
        return {seed: trial.top1 for seed, trial in chosen[name].items()}
    other = next(n for n in _names(comparison) if n != FLOAT)
    return {seed: trial.float_top1 for seed, trial in chosen[other].items()}


def verdict(difference: float, error: float, margin: float) -> str:
    """Whether a difference reaches its margin, in words.

    "within the noise": another draw of seeds could turn the verdict round.

    >>> verdict(0.5, 0.1, 0.0), verdict(0.1, 0.1, 0.0), verdict(-1.0, float("nan"), -0.3)
    ('held', 'held, within the noise', 'did not hold, one seed')
    """
    held = "held" if difference >= margin - 1e-9 else "did not hold"
    if math.isnan(error):
        return f"{held}, one seed"
    certain = abs(difference - margin) > SCATTER * error
    return held if certain else f"{held}, within the noise"
