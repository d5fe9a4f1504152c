"""Which published claims held here: tables, a page a claim, and blocks of the two READMEs.

    python -m dyadic.report.claims [RUNS] [OUT] [--experiments DIR]
    python -m dyadic.report.claims --check            exit code 1 where a README is stale

`OUT/claims.csv` has a row a comparison, `OUT/NAME.csv` the arms of an experiment, and
`claims/NAME.md` beside OUT is its page, with `NAME-K.svg`. An experiment none of whose comparisons
has a pair of runs keeps what an earlier table says of it, and its page.
"""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.files import write_text
from dyadic.record.read import read_csv, read_records
from dyadic.report.charts import svg
from dyadic.report.command import command, fill, marks
from dyadic.report.data import claims as declared
from dyadic.report.data import verdicts
from dyadic.report.data.runs import RECIPE, choices_of, differing, overview
from dyadic.report.data.seeds import SETTING, done_runs, over_seeds
from dyadic.report.page.claims import counted, pictures, place, verdict_table
from dyadic.report.tables import csv, groups, markdown, percent, plural, rows, where

MEASURED = {
    **{"top1": "top-1", "top1_sd": "sd", "float_top1": "float top-1", "top1_drop": "drop"},
    **{"integer_top1": "integer top-1", "size_mib": "MiB", "gbops": "GBOPS"},
}
"""What an arm's table says of its runs, and its headings."""

LAST = {"weight_bits": "weights", "activation_bits": "activations", "epochs_quantize": "epochs"}

TRAINED_ON = "float trained on"
"""The arm of float weights and activations that trains as long as its experiment's others."""

ARMS = [
    *["paper", "arm", "published", "metric", "published on", "weights", "activations"],
    *[TRAINED_ON, *MEASURED.values(), "epochs", "seeds", *verdicts.WHERE],
]
HEADLINE = [
    *["paper", "arm", "network", "weights", "activations", "float top-1", TRAINED_ON],
    *["top-1", "sd", "integer top-1", "seeds", "epochs"],
]
SHOWN = ("inq_resnet20", "hawq_v3_mixed", "binary_relax_resnet20", "log_resnet20", "inq_bits")
"""The experiments whose arms the README shows."""

VERDICTS = (
    "Differences in points of top-1, paired by seed. Interval: 95 %, Student's t. Holm's p is "
    "corrected over all of this paper's comparisons."
)
Trials = Sequence[verdicts.Trial]
Fits = Mapping[str, pd.DataFrame]


def update(options: Any) -> None:
    """Write all tables and pages."""
    runs = done_runs(overview(read_records(options.runs)))
    published = declared.read_published(options.experiments / "published")
    claims = declared.read_claims(options.experiments)
    found = [(claim, *verdicts.trials(claim, runs)) for claim in claims]
    stored = verdicts.read_verdicts(options.out / "claims.csv")
    parts = [_verdicts(claim, tried, published, stored) for claim, tried, _ in found]
    table = verdicts.decided(pd.concat(parts, ignore_index=True))
    write_text(options.out / "claims.csv", csv(table))
    for claim, tried, fits in found:
        page = options.out.parent / "claims" / f"{claim.experiment}.md"
        own = where(table, table.experiment == claim.experiment)
        if not tried and page.is_file() and own.seeds.any():
            continue
        arms = arm_rows(claim, tried, published)
        if tried:
            write_text(options.out / f"{claim.experiment}.csv", csv(arms))
        for k, drawing in enumerate(pictures(own), 1):
            write_text(page.with_name(f"{page.stem}-{k}.svg"), svg(drawing))
        write_text(page, "\n\n".join(_page(claim, own, arms, tried, fits)) + "\n")


def _verdicts(
    claim: declared.Claim, tried: Trials, published: pd.DataFrame, stored: pd.DataFrame
) -> pd.DataFrame:
    """The claim's rows; without runs what an earlier table says, if it says the same claims."""
    fresh = verdicts.verdict_rows(claim, tried, published).astype(object)
    earlier = where(stored, stored.experiment == claim.experiment).filter(verdicts.STORED)
    if tried or set(earlier.claim) != set(fresh.claim):
        return fresh
    margins = earlier.claim.map(dict(zip(fresh.claim, fresh.margin, strict=True)))
    return earlier.assign(statement=claim.statement, margin=margins).astype(object)


def arm_rows(claim: declared.Claim, tried: Trials, published: pd.DataFrame) -> pd.DataFrame:
    """A row for every arm in every setting: the paper's number, and ours over the seeds.

    top-1 is that of the last epoch. Standard deviations are of the sample, empty for one seed.
    """
    found, values = [], [name for name in MEASURED if not name.endswith("_sd")]
    for trial in tried:
        trained_on = trial.arms[TRAINED_ON].top1.mean() if TRAINED_ON in trial.arms else math.nan
        for name, own in trial.arms.items():
            printed = declared.published_row(claim.arms[name], published) or {}
            row = {"paper": claim.paper, "arm": name, TRAINED_ON: trained_on, "seeds": 0}
            row |= {"published": printed.get("value", math.nan), "metric": printed.get("metric")}
            row["published on"] = "{network}, {data}".format(**printed) if printed else None
            for last in rows(own.tail(1).rename(columns=LAST)):
                ours = over_seeds(own, ["configuration"], values).rename(columns=MEASURED)
                row |= {key: last[key] for key in LAST.values()} | rows(ours)[0]
            found.append(row | trial.place)
    frame = pd.DataFrame(found, columns=ARMS).astype({"seeds": "Int64", "epochs": "Int64"})
    return frame.round({name: 4 if name in ("MiB", "GBOPS") else 2 for name in ARMS})


def _page(
    claim: declared.Claim, own: pd.DataFrame, arms: pd.DataFrame, tried: Trials, fits: Fits
) -> Iterator[str]:
    """A page's paragraphs; own: of the decided table, arms: of `arm_rows`, the rest of `trials`."""
    yield f"# {claim.experiment}: {claim.paper}, {claim.table}"
    yield f"The paper: {claim.statement}\n\nHere: **{counted(own)}**."
    for k, drawing in enumerate(pictures(own), 1):
        yield f"![{drawing.title}]({claim.experiment}-{k}.svg)\n\n{drawing.note}"
    yield f"## Verdicts\n\n{VERDICTS}\n\n{markdown(verdict_table(own))}"
    if tried:
        yield f"## Numbers\n\n{markdown(arms.drop(columns=['paper', 'float network']))}"
    repeat = declared.REPEAT.format(claim.experiment)
    yield f"## Repeat it\n\n    {repeat}\n    python -m dyadic.report.claims"
    if tried:
        yield f"## Recipe\n\n{_recipes(tried[0])}\n\n## Runs"
    for trial in tried:
        yield f"{place(trial.place)}, float network {trial.place['float network']}:"
        arms_runs = {k: ", ".join(f"`{run}`" for run in v.name) for k, v in trial.arms.items()}
        yield "\n".join(f"- {name}: {said or 'none'}" for name, said in arms_runs.items())
    others = "\n".join(_others(tried, fits))
    if claim.tried or others:
        yield "\n\n".join(filter(None, ["## What else was tried", claim.tried, others]))


def _recipes(trial: verdicts.Trial) -> str:
    """The choices that the arms share, then per arm those in which they differ."""
    last = pd.concat({name: own.tail(1) for name, own in trial.arms.items()}).droplevel(1)
    table = choices_of(last, RECIPE).sort_index(axis=1)
    varying = differing(table)
    same = table.drop(columns=varying.columns)

    def said(choices: pd.Series) -> str:
        return ", ".join(f"`{key}={value}`" for key, value in choices.items() if value)

    lines = [f"- {name}: {said(own)}".removesuffix(": ") for name, own in varying.iterrows()]
    return f"All arms: {said(same.iloc[0])}.\n\n" + "\n".join(lines)


def _others(tried: Trials, fits: Fits) -> Iterator[str]:
    """Runs that fit an arm and are not in its numbers."""
    used = {name for trial in tried for own in trial.arms.values() for name in own.name}
    for arm, fit in fits.items():
        for _, group in groups(where(fit, ~fit.name.isin(used)), [*SETTING, "configuration"]):
            row, first = over_seeds(group, ["configuration"], ["top1"]).iloc[0], group.iloc[0]
            score = f"{percent(row.top1, row.top1_sd)} % on {plural(int(row.seeds), 'seed')}"
            length = f", {first.epochs_quantize:g} epochs".replace(", nan epochs", "")
            at = f"{first.model} on {first.dataset}"
            yield f"- {arm}: {score}{length}, {at}, such as `{first['name']}`"


def blocks(options: Any) -> Iterator[tuple[Path, str, str]]:
    """(file, mark, block) of the two READMEs, as the committed tables say."""
    table = verdicts.read_verdicts(options.out / "claims.csv")
    yield options.experiments / "README.md", "claims", block(table)
    root = options.experiments.parent / "README.md"
    text = root.read_text(encoding="utf-8") if root.is_file() else ""
    shown = {"papers": markdown(verdicts.scoreboard(table)), "results": results_block(options.out)}
    yield from ((root, mark, block) for mark, block in shown.items() if marks(mark)[0] in text)


def results_block(tables: Path) -> str:
    """The arms of `SHOWN` that have run, in Markdown; what is not trained stands apart."""
    found = [read_csv(tables / f"{name}.csv") for name in SHOWN]
    arms = pd.concat([pd.DataFrame(columns=HEADLINE), *found]).reindex(columns=HEADLINE)
    arms = where(arms, (arms.seeds > 0) & (arms.arm != TRAINED_ON)).convert_dtypes()
    parts = {"Fine-tuned:": arms.epochs > 0, "Quantized without training:": arms.epochs == 0}
    shown = ((words, where(arms, mask)) for words, mask in parts.items() if mask.any())
    return "\n\n".join(f"{words}\n\n{markdown(part)}" for words, part in shown)


def block(table: pd.DataFrame) -> str:
    """The verdicts in Markdown, a link to the page at each experiment."""
    shown = verdict_table(table).drop(columns=["by seed", "on"])
    pages = [f"[{name}](../results/claims/{name}.md)" for name in table.experiment]
    first = {"experiment": pages, "paper": table.paper, "table": table.table}
    return markdown(pd.concat([pd.DataFrame(first), shown, table[verdicts.WHERE[:3]]], axis=1))


def _act(options: Any) -> int:
    """Write everything; or with --check 1 where a README is not what the table says."""
    if not options.check:
        update(options)
    return fill(blocks(options), options.check, "claims")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    folders = {"runs": Path("results/runs"), "out": Path("results/tables")}
    options: dict[str, Any] = {**folders, "experiments": Path("experiments"), "check": False}
    return command("claims", _act, arguments, **options)


if __name__ == "__main__":
    sys.exit(main())
