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
from dyadic.report.data.frames import csv, groups, where
from dyadic.report.data.runs import RECIPE, overview
from dyadic.report.data.seeds import SETTING, done_runs, over_seeds
from dyadic.report.page.claims import counted, pictures, place, verdict_table
from dyadic.report.text import markdown, percent, plural

MEASURED = {
    **{"top1": "top-1", "top1_sd": "sd", "float_top1": "float top-1", "top1_drop": "drop"},
    **{"integer_top1": "integer top-1", "size_mib": "MiB", "gbops": "GBOPS"},
}
"""What an arm's table says of its runs, and its headings."""

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
        write_text(page, "\n\n".join([*_head(claim, own), *_runs(claim, tried, fits, arms)]) + "\n")


def _verdicts(
    claim: declared.Claim, tried: Trials, published: pd.DataFrame, stored: pd.DataFrame
) -> pd.DataFrame:
    """The claim's rows; without runs what an earlier table says, if it says the same claims."""
    fresh = verdicts.verdict_rows(claim, tried, published).astype(object)
    earlier = where(stored, stored.experiment == claim.experiment).filter(verdicts.STORED)
    margins = dict(zip(fresh.claim, fresh.margin, strict=True))
    if tried or set(earlier.claim) != set(margins):
        return fresh
    said = {"margin": earlier.claim.map(margins), "statement": claim.statement}
    return earlier.assign(**said).astype(object)


def arm_rows(claim: declared.Claim, tried: Trials, published: pd.DataFrame) -> pd.DataFrame:
    """A row for every arm in every setting: the paper's number, and ours over the seeds.

    top-1 is that of the last epoch. Standard deviations are of the sample, empty for one seed.
    """
    found = []
    for trial in tried:
        reference = trial.arms[TRAINED_ON].top1.mean() if TRAINED_ON in trial.arms else math.nan
        for name, own in trial.arms.items():
            row = {"paper": claim.paper, "arm": name, TRAINED_ON: reference}
            row |= {"published": math.nan, "metric": "", "published on": ""}
            if printed := declared.published_row(claim.arms[name], published):
                row |= {"published": printed["value"], "metric": printed["metric"]}
                row["published on"] = "{network}, {data}".format(**printed)
            found.append(row | _measured(own) | trial.place)
    frame = pd.DataFrame(found, columns=ARMS).astype({"seeds": "Int64", "epochs": "Int64"})
    return frame.round({name: 4 if name in ("MiB", "GBOPS") else 2 for name in ARMS})


def _measured(own: pd.DataFrame) -> dict[str, Any]:
    if own.empty:
        return {"seeds": 0}
    values = [name for name in MEASURED if not name.endswith("_sd")]
    joined = over_seeds(own, ["configuration"], values).rename(columns=MEASURED)
    last = own[["weight_bits", "activation_bits", "epochs_quantize"]].iloc[-1]
    found = joined.filter([*MEASURED.values(), "seeds"]).iloc[0].to_dict()
    return found | dict(zip(["weights", "activations", "epochs"], last, strict=True))


def _head(claim: declared.Claim, own: pd.DataFrame) -> Iterator[str]:
    """A page's paragraphs on the claim; own: its rows of the decided table."""
    yield f"# {claim.experiment}: {claim.paper}, {claim.table}"
    yield f"The paper: {claim.statement}"
    yield f"Here: **{counted(own)}**."
    for k, drawing in enumerate(pictures(own), 1):
        yield f"![{drawing.title}]({claim.experiment}-{k}.svg)\n\n{drawing.note}"
    yield f"## Verdicts\n\n{VERDICTS}\n\n{markdown(verdict_table(own))}"


def _runs(
    claim: declared.Claim, tried: Trials, fits: Mapping[str, pd.DataFrame], arms: pd.DataFrame
) -> Iterator[str]:
    """A page's paragraphs on the runs; tried, fits: of `trials`; arms: of `arm_rows`."""
    if tried:
        yield f"## Numbers\n\n{markdown(arms.drop(columns=['paper', 'float network']))}"
    repeat = declared.REPEAT.format(claim.experiment)
    yield f"## Repeat it\n\n    {repeat}\n    python -m dyadic.report.claims"
    if tried:
        yield f"## Recipe\n\n{_recipes(tried[0])}"
        yield "## Runs"
    for trial in tried:
        names = {
            name: ", ".join(f"`{run}`" for run in own.name) for name, own in trial.arms.items()
        }
        lines = "\n".join(f"- {name}: {said or 'none'}" for name, said in names.items())
        yield f"{place(trial.place)}, float network {trial.place['float network']}:\n\n{lines}"
    others = "\n".join(_others(tried, fits))
    if claim.tried or others:
        yield "\n\n".join(filter(None, ["## What else was tried", claim.tried, others]))


def _recipes(trial: verdicts.Trial) -> str:
    """The choices that the arms share, then per arm those in which they differ."""
    last = {name: own.choices.iloc[-1] for name, own in trial.arms.items() if len(own)}
    table = pd.DataFrame(last).map(str).sort_index()
    table = where(table, table.index.str.startswith(RECIPE))
    same = table.eq(table.iloc[:, 0], axis=0).all(axis=1)

    def said(name: Any, mask: Any) -> str:
        own = where(table, mask & ~table[name].isin(["None", "nan"]))[name]
        return ", ".join(f"`{key}={value}`" for key, value in own.items())

    lines = [f"- {name}: {said(name, ~same)}".removesuffix(": ") for name in table]
    return f"All arms: {said(table.columns[0], same)}.\n\n" + "\n".join(lines)


def _others(tried: Trials, fits: Mapping[str, pd.DataFrame]) -> Iterator[str]:
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
