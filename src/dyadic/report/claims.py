"""Which published claims held here: `results/tables/` and the block of `experiments/README.md`.

    python -m dyadic.report.claims [RUNS] [OUT] [--experiments DIR]
    python -m dyadic.report.claims --check            exit code 1 where the README is stale

Per experiment `OUT/NAME.csv` (the arms: the paper's number beside ours) and `NAME.md` (the verdicts
too); over all of them `OUT/claims.csv`, a row a comparison, from which the README's block is made.
An experiment none of whose comparisons has its runs keeps its files.
"""

import argparse
import math
import statistics
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_csv, read_records
from dyadic.report.data.claims import (
    Claim,
    published_difference,
    published_row,
    read_claims,
    signed,
)
from dyadic.report.data.frames import where
from dyadic.report.data.published import read_published
from dyadic.report.data.verdicts import Setting, Trial, Verdict, chosen_arms, judge, told, trials
from dyadic.report.tables import insert, markdown

WHERE = ["dataset", "network", "hardware", "precision", "baseline epochs"]
VERDICTS = [
    *["experiment", "paper", "table", "claim", "published", "difference", "error", "seeds"],
    *["verdict", *WHERE],
]
BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"


def verdict_rows(claim: Claim, runs: list[Trial], published: pd.DataFrame) -> pd.DataFrame:
    """A row for every comparison in every setting that says anything; else a row "not run"."""
    found = []
    for setting in told(claim, runs) or [None]:
        chosen = chosen_arms(claim, setting, runs) if setting else None
        for comparison in claim.comparisons:
            result = judge(comparison, claim, chosen) if chosen else Verdict()
            row = {
                "experiment": claim.experiment,
                "paper": claim.paper,
                "table": claim.table,
                "claim": str(comparison),
                "published": published_difference(comparison, claim, published),
                "difference": result.difference,
                "error": result.error,
                "seeds": result.seeds,
                "verdict": result.text,
            }
            found.append(row | _where(setting))
    return _typed(pd.DataFrame(found, columns=VERDICTS))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same types whether computed or read, numbers rounded for print."""
    for column in ("published", "difference", "error"):
        frame[column] = frame[column].astype(float).round(2)
    for column in ("seeds", "baseline epochs"):
        frame[column] = frame[column].astype("Int64")
    return frame


def _where(setting: Setting | None) -> dict[str, Any]:
    names = ("dataset", "network", "hardware", "precision", "baseline_epochs")
    values = [getattr(setting, name) if setting else None for name in names]
    return dict(zip(WHERE, values, strict=True))


def arm_rows(claim: Claim, runs: list[Trial], published: pd.DataFrame) -> pd.DataFrame:
    """A row for every arm in every setting: the paper's number, and ours over the seeds.

    top-1 is that of the last epoch; `best epoch` is the best on the same test set, which nobody
    may choose by. Standard deviations are of the sample, empty for one seed. The verdicts are those
    of the comparisons in which the arm is the better one.
    """
    found = []
    for setting in told(claim, runs):
        arms = chosen_arms(claim, setting, runs)
        for name, chosen in arms.items():
            row = _measured(list(chosen.values())) if chosen else {"seeds": 0}
            printed = published_row(claim.arms[name], published)
            own = [(judge(c, claim, arms).text, c) for c in claim.comparisons if c.better == name]
            verdicts = {"verdict": "; ".join(f"{text}: {comparison}" for text, comparison in own)}
            found.append({"arm": name} | _printed(printed) | row | verdicts | _where(setting))
    frame = pd.DataFrame(found)
    frame.insert(0, "paper", claim.paper)
    for column in ("seeds", "baseline epochs", "epochs"):
        frame[column] = frame[column].astype("Int64")
    return frame.round(2)


def _printed(row: dict[str, Any] | None) -> dict[str, Any]:
    """The published number and what it was measured on."""
    if row is None:
        return {"published": math.nan, "metric": "", "published on": ""}
    on = f"{row['network']}, {row['data']}"
    return {"published": row["value"], "metric": row["metric"], "published on": on}


def _measured(chosen: list[Trial]) -> dict[str, Any]:
    top1 = [trial.top1 for trial in chosen]
    return {
        "top-1": statistics.fmean(top1),
        "sd": statistics.stdev(top1) if len(top1) > 1 else math.nan,
        "best epoch": statistics.fmean(trial.best for trial in chosen),
        "float top-1": statistics.fmean(trial.float_top1 for trial in chosen),
        "drop": statistics.fmean(trial.float_top1 - trial.top1 for trial in chosen),
        "epochs": chosen[-1].epochs,
        "seeds": len(chosen),
    }


def readable(verdicts: pd.DataFrame, leave_out: list[str]) -> str:
    """The comparisons in Markdown; differences with their sign, ± the standard error."""
    pairs = zip(verdicts.difference, verdicts.error, strict=True)
    shown = verdicts.rename(columns={"difference": "ours"}).assign(
        ours=[_difference(*pair) for pair in pairs],
        published=[_difference(value) for value in verdicts.published],
    )
    texts = [name for name in WHERE if name not in ("baseline epochs", *leave_out)]
    return markdown(_filled(shown.drop(columns=[*leave_out, "error"]), texts))


def _filled(frame: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    """The frame with empty texts where these columns have no value."""
    filled = {name: frame[name].astype(object).where(frame[name].notna(), "") for name in texts}
    return frame.assign(**filled)


def _difference(value: float, error: float = math.nan) -> str:
    scatter = "" if math.isnan(error) else f" ± {error:.2f}"
    return "" if math.isnan(value) else f"{signed(value)}{scatter}"


def write_experiment(claim: Claim, verdicts: pd.DataFrame, arms: pd.DataFrame, out: Path) -> None:
    """`NAME.csv` and `NAME.md`."""
    stem = out / claim.experiment
    write_text(stem.with_suffix(".csv"), arms.to_csv(index=False, lineterminator="\n"))
    own = readable(verdicts, ["experiment", "paper", "table"])
    note = "top-1 in percent after the last epoch; differences in points, ± the standard error."
    parts = [
        f"# {claim.experiment}: {claim.paper}, {claim.table}",
        claim.statement,
        f"`python run.py -m +experiments={claim.experiment}`; {note}",
        own,
        markdown(_filled(arms.drop(columns=["paper", "verdict"]), ["metric", "published on"])),
    ]
    write_text(stem.with_suffix(".md"), "\n\n".join(parts) + "\n")


def update(options: argparse.Namespace) -> None:
    """Write all tables and the README's block."""
    claims = read_claims(options.experiments)
    published = read_published(options.experiments / "published")
    runs, known = trials(read_records(options.runs)), read_verdicts(options.out)
    found = []
    for claim in claims:
        verdicts = verdict_rows(claim, runs, published)
        if told(claim, runs):
            write_experiment(claim, verdicts, arm_rows(claim, runs, published), options.out)
        else:
            verdicts = _kept(known, verdicts)
        found.append(verdicts)
    table = pd.concat([frame.astype(object) for frame in found], ignore_index=True)
    csv = table.to_csv(index=False, lineterminator="\n")
    write_text(options.out / "claims.csv", csv)
    readme = options.experiments / "README.md"
    text = readme.read_text(encoding="utf-8")
    write_text(readme, insert(text, block(options.out), BEGIN, END))


def _kept(known: pd.DataFrame, empty: pd.DataFrame) -> pd.DataFrame:
    """What an earlier table says of these claims, if it says the same claims."""
    earlier = where(known, known.experiment == empty.experiment.iloc[0])
    same = set(earlier.claim) == set(empty.claim)
    return earlier if same else empty


def read_verdicts(out: Path) -> pd.DataFrame:
    """`claims.csv`; empty where there is none."""
    return _typed(read_csv(out / "claims.csv").reindex(columns=VERDICTS))


def block(out: Path) -> str:
    """The README's block, from `claims.csv`."""
    return readable(read_verdicts(out), ["precision"])


def stale(options: argparse.Namespace) -> bool:
    """Whether the README's block is not that of the committed table."""
    text = (options.experiments / "README.md").read_text(encoding="utf-8")
    return insert(text, block(options.out), BEGIN, END) != text


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dyadic.report.claims", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="?", default=Path("results/runs"))
    parser.add_argument("out", type=Path, nargs="?", default=Path("results/tables"))
    parser.add_argument("--experiments", type=Path, default=Path("experiments"))
    parser.add_argument("--check", action="store_true", help="fail where the README is stale")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            update(options)
        elif stale(options):
            raise UserError("experiments/README.md is stale: run `python -m dyadic.report.claims`")
    except UserError as error:
        print(error, file=sys.stderr)
        return 1 if options.check else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
