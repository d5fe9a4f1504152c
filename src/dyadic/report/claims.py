"""Which published claims held here: tables, a page a claim, and blocks of the two READMEs.

    python -m dyadic.report.claims [RUNS] [OUT] [--experiments DIR]
    python -m dyadic.report.claims --check            exit code 1 where a README is stale

`OUT/claims.csv` has a row a comparison, `OUT/NAME.csv` the arms of an experiment, and
`claims/NAME.md` beside OUT is its page, with `NAME-K.svg`. An experiment none of whose comparisons
has a pair of runs keeps what an earlier table says of it, and its page.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.charts.drawing import svg
from dyadic.report.claim_page import arm_rows, claim_page
from dyadic.report.command import command
from dyadic.report.data.claims import Claim, read_claims
from dyadic.report.data.frames import csv, where
from dyadic.report.data.published import read_published
from dyadic.report.data.verdicts import (
    STORED,
    WHERE,
    decided,
    read_verdicts,
    scoreboard,
    settings_of,
    trials,
    verdict_rows,
)
from dyadic.report.page.claims import pictures
from dyadic.report.text import insert, interval, markdown, signed

BEGIN, END = "<!-- claims:begin -->", "<!-- claims:end -->"
PAPERS_BEGIN, PAPERS_END = "<!-- papers:begin -->", "<!-- papers:end -->"


def update(options: Any) -> None:
    """Write all tables, pages and blocks."""
    claims = read_claims(options.experiments)
    published = read_published(options.experiments / "published")
    runs, known = trials(read_records(options.runs)), read_verdicts(options.out / "claims.csv")
    told = {claim.experiment for claim in claims if settings_of(claim, runs)}
    parts = [
        verdict_rows(claim, runs, published)
        if claim.experiment in told
        else _kept(known, verdict_rows(claim, runs, published))
        for claim in claims
    ]
    stored = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    table = decided(stored)
    for claim in claims:
        own = where(table, table.experiment == claim.experiment)
        written = page_of(claim, options.out).is_file() and own.seeds.any()
        if claim.experiment in told or not written:
            write_experiment(claim, runs, own, published, options.out)
    write_text(options.out / "claims.csv", csv(table))
    for path, text in _filled(options):
        write_text(path, text)


def write_experiment(
    claim: Claim, runs: pd.DataFrame, own: pd.DataFrame, published: pd.DataFrame, out: Path
) -> None:
    """The arms' table, and the claim's page with its pictures."""
    arms = arm_rows(claim, runs, published)
    if len(arms):
        write_text(out / f"{claim.experiment}.csv", csv(arms))
    pages, drawn = page_of(claim, out).parent, pictures(own)
    names = [f"{claim.experiment}-{number}.svg" for number in range(1, len(drawn) + 1)]
    for name, drawing in zip(names, drawn, strict=True):
        write_text(pages / name, svg(drawing))
    shown = dict(zip(names, drawn, strict=True))
    write_text(page_of(claim, out), claim_page(claim, runs, own, arms, shown))


def page_of(claim: Claim, out: Path) -> Path:
    """Where the page of a claim is: in `claims`, beside the tables."""
    return out.parent / "claims" / f"{claim.experiment}.md"


def _kept(known: pd.DataFrame, empty: pd.DataFrame) -> pd.DataFrame:
    """What an earlier table says of these claims, if it says the same claims."""
    earlier = where(known, known.experiment == empty.experiment.iloc[0]).filter(STORED)
    margins = dict(zip(empty.claim, empty.margin, strict=True))
    same = set(earlier.claim) == set(margins)
    return earlier.assign(margin=earlier.claim.map(margins)) if same else empty


def _filled(options: Any) -> Iterator[tuple[Path, str]]:
    """The two READMEs as the committed table says they must be; the root's only with marks."""
    table = read_verdicts(options.out / "claims.csv")
    readme = options.experiments / "README.md"
    yield readme, insert(readme.read_text(encoding="utf-8"), block(table), BEGIN, END)
    root = options.experiments.parent / "README.md"
    text = root.read_text(encoding="utf-8") if root.is_file() else ""
    if PAPERS_BEGIN in text:
        yield root, insert(text, papers_block(table), PAPERS_BEGIN, PAPERS_END)


def block(table: pd.DataFrame) -> str:
    """The verdicts in Markdown, a link to the page at each experiment."""
    pages = [f"[{name}](../results/claims/{name}.md)" for name in table.experiment]
    shown = pd.DataFrame(
        {
            "experiment": pages,
            "paper": table.paper,
            "table": table.table,
            "claim": table.claim,
            "verdict": table.says,
            "published": [signed(value) for value in table.published],
            "ours": [signed(value) for value in table.difference],
            "95 % interval": [interval(*ends) for ends in zip(table.low, table.high, strict=True)],
            "seeds": table.seeds,
            "Holm's p": table.holm,
        }
    )
    return markdown(shown.assign(**{name: table[name] for name in WHERE[:3]}))


def papers_block(table: pd.DataFrame) -> str:
    """A row a paper: how many comparisons held, did not, are undecided, or lack seeds."""
    board = scoreboard(table).rename(columns={"seeds": "most seeds"})
    return markdown(board)


def act(options: Any) -> int:
    """Write everything; or with --check 1 where a README is not what the table says."""
    if not options.check:
        update(options)
        return 0
    for path, text in _filled(options):
        if path.read_text(encoding="utf-8") != text:
            print(f"{path} is stale: run `python -m dyadic.report.claims`", file=sys.stderr)
            return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    paths: dict[str, Any] = {"runs": Path("results/runs"), "out": Path("results/tables")}
    folder = Path("experiments")
    return command("claims", act, arguments, **paths, experiments=folder, check=False)


if __name__ == "__main__":
    sys.exit(main())
