"""The page of a claim: what the paper says, what came out here, how sure that is, how to repeat."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.claims import Claim, published_row
from dyadic.report.data.frames import groups, rows, where
from dyadic.report.data.runs import flat
from dyadic.report.data.seeds import SETTING, over_seeds
from dyadic.report.data.verdicts import WHERE, arms_of, fitting, settings_of
from dyadic.report.page.claims import command, counted, place
from dyadic.report.text import interval, markdown, percent, plural, signed

ARMS = [
    *["paper", "arm", "published", "metric", "published on", "top-1", "sd", "float top-1", "drop"],
    *["epochs", "seeds", *WHERE],
]
RECIPE = ("quantizer.", "schedule.", "trainer.optimizer.", "trainer.curve.", "allocation.")
"""Choices that make an arm's recipe."""


def arm_rows(claim: Claim, runs: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """A row for every arm in every setting: the paper's number, and ours over the seeds.

    top-1 is that of the last epoch. Standard deviations are of the sample, empty for one seed.
    """
    found = []
    for setting, group in settings_of(claim, runs):
        for name, own in arms_of(claim, group).items():
            printed = _printed(published_row(claim.arms[name], published))
            where_ = dict(zip(WHERE, setting, strict=True))
            found.append({"paper": claim.paper, "arm": name} | printed | _measured(own) | where_)
    frame = pd.DataFrame(found, columns=ARMS)
    for column in ("seeds", "epochs"):
        frame[column] = frame[column].astype("Int64")
    return frame.round(2)


def _printed(row: dict[str, Any] | None) -> dict[str, Any]:
    """The published number and what it was measured on."""
    if row is None:
        return {"published": math.nan, "metric": "", "published on": ""}
    on = f"{row['network']}, {row['data']}"
    return {"published": row["value"], "metric": row["metric"], "published on": on}


def _measured(own: pd.DataFrame) -> dict[str, Any]:
    if own.empty:
        return {"seeds": 0}
    joined = over_seeds(own, ["configuration"], ["top1", "float_top1", "top1_drop"]).iloc[0]
    return {
        "top-1": joined.top1,
        "sd": joined.top1_sd,
        "float top-1": joined.float_top1,
        "drop": joined.top1_drop,
        "epochs": own.epochs_quantize.iloc[-1],
        "seeds": joined.seeds,
    }


def claim_page(
    claim: Claim,
    runs: pd.DataFrame,
    own: pd.DataFrame,
    arms: pd.DataFrame,
    pictures: Mapping[str, Drawing],
) -> str:
    """The whole page as Markdown.

    runs      of `trials`
    own       the claim's rows of the decided table; arms: of `arm_rows`
    pictures  the chart of every setting, by the name of its file beside the page
    """
    shown = pd.DataFrame(
        {
            "claim": own.claim,
            "verdict": own.says,
            "published": own.published.map(signed),
            "ours": own.difference.map(signed),
            "95 % interval": [interval(*ends) for ends in zip(own.low, own.high, strict=True)],
            "by seed": own.differences.map(_by_seed),
            "Holm's p": own.holm,
            "on": [place(row) for row in rows(own)],
        }
    )
    numbers = markdown(arms.drop(columns=["paper", "float network"]))
    parts = {
        f"# {claim.experiment}: {claim.paper}, {claim.table}": [
            f"The paper: {claim.statement}",
            f"Here: **{counted(own)}**.",
            *(f"![{d.title}]({name})\n\n{d.note}" for name, d in pictures.items()),
        ],
        "## Verdicts": [VERDICTS, markdown(shown)],
        "## Numbers": [numbers] * bool(len(arms)),
        "## Repeat it": [
            f"    {command(claim.experiment)}\n    python -m dyadic.report.claims",
        ],
        "## Recipe": _recipes(claim, runs),
        "## Runs": _identities(claim, runs),
        "## What else was tried": _tried(claim, runs),
    }
    filled = [[heading, *text] for heading, text in parts.items() if text]
    return "\n\n".join(line for part in filled for line in part) + "\n"


VERDICTS = (
    "Differences in points of top-1, paired by seed. Interval: 95 %, Student's t. Holm's p is "
    "corrected over all of this paper's comparisons."
)


def _by_seed(differences: str) -> str:
    """The differences as they are printed.

    >>> _by_seed("0:0.5000 1:-0.2500")
    '+0.50, −0.25'
    """
    return ", ".join(signed(float(part.split(":")[1])) for part in differences.split())


def _recipes(claim: Claim, runs: pd.DataFrame) -> list[str]:
    """Per arm the choices that differ between the arms; what they share in a line before."""
    chosen = {
        name: {k: v for k, v in flat(own.config.iloc[-1]).items() if k.startswith(RECIPE)}
        for _, group in settings_of(claim, runs)[:1]
        for name, own in arms_of(claim, group).items()
        if len(own)
    }
    keys = sorted({key for recipe in chosen.values() for key in recipe})
    same = [k for k in keys if len({str(recipe.get(k)) for recipe in chosen.values()}) == 1]
    if not chosen:
        return []
    first = next(iter(chosen.values()))
    shared = ", ".join(f"`{key}={first[key]}`" for key in same if first[key] is not None)
    own = [
        f"- {name}: " + ", ".join(f"`{k}={recipe.get(k)}`" for k in keys if k not in same)
        for name, recipe in chosen.items()
    ]
    return [f"All arms: {shared}.", "\n".join(line.removesuffix(": ") for line in own)]


def _identities(claim: Claim, runs: pd.DataFrame) -> list[str]:
    """The names of the runs of every arm, and the code they ran."""
    found = []
    for setting, group in settings_of(claim, runs):
        lines = [
            f"- {name}: {', '.join(f'`{run}`' for run in own.name) or 'none'}"
            for name, own in arms_of(claim, group).items()
        ]
        where_ = place(dict(zip(WHERE, setting, strict=True)))
        found.append(f"{where_}, float network {setting[3]}:\n\n" + "\n".join(lines))
    return found


def _tried(claim: Claim, runs: pd.DataFrame) -> list[str]:
    """What the experiment's file says, and runs that fit an arm and are not in its numbers."""
    found = [claim.tried] if claim.tried else []
    used = {
        name
        for _, group in settings_of(claim, runs)
        for own in arms_of(claim, group).values()
        for name in own.name
    }
    for arm, values in claim.arms.items():
        fit = fitting(values, runs)
        others = where(fit, ~fit.name.isin(used))
        for _, group in groups(others, [*SETTING, "configuration"]):
            row = over_seeds(group, ["configuration"], ["top1"]).iloc[0]
            score = f"{percent(row.top1, row.top1_sd)} % on {plural(int(row.seeds), 'seed')}"
            epochs = group.epochs_quantize.iloc[0]
            length = f", {epochs:g} epochs" if epochs == epochs else ""
            place_ = f"{group.model.iloc[0]} on {group.dataset.iloc[0]}"
            found.append(f"- {arm}: {score}{length}, {place_}, such as `{group.name.iloc[0]}`")
    return found
