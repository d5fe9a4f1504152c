"""Result tables from run records: CSV, Markdown, and the block of the README between its marks.

    python -m dyadic.report.tables [RUNS] [--match GLOB]    results.csv, results.md, README.md
    python -m dyadic.report.tables --check                  exit code 1 where the README is stale

The README is filled from the committed `results/tables/results.csv`, so `--check` needs no runs.
"""

import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pandas as pd

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.command import command
from dyadic.report.data.frames import csv, where
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations
from dyadic.report.text import DECIMALS, insert, markdown

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
WHOLE = ["bits", "levels", "seeds", "epochs"]


def results_table(runs: pd.DataFrame, match: str = "*") -> pd.DataFrame:
    """The table that a reader sees: a row a configuration, top-1 in percent, rounded for print.

    Trained rows and those that were only quantized stand apart, by their epochs.

    runs   the frame of `dyadic.report.data.runs.overview`
    match  a glob on run names, to leave experiments out
    """
    table = configurations(where(runs, [fnmatch(name, match) for name in runs.name]))
    checked = {True: "equal", False: "DIFFER"}
    names = zip(table.method, table.variant, strict=True)
    frame = pd.DataFrame(
        {
            "dataset": table.dataset,
            "model": table.model,
            "method": [f"{method} {variant}".strip() for method, variant in names],
            "bits": table.bits,
            "activations": table.activation,
            "levels": table.levels,
            "seeds": table.seeds,
            "float top-1": table.float_top1,
            "top-1": table.top1,
            "sd": table.top1_sd,
            "drop": table.top1_drop,
            "integer top-1": table.integer_top1,
            "MiB": table.size_mib,
            "GBOPS": table.gbops,
            "integers": [checked.get(value, "") for value in table.integer_passed],
            "epochs": table.epochs_quantize,
            "hardware": table.hardware,
        }
    )
    for column in WHOLE:
        frame[column] = frame[column].round().astype("Int64")
    trained = frame.epochs.gt(0).fillna(False)
    return pd.concat([where(frame, trained), where(frame, ~trained)]).round({**DECIMALS})


def read_table(path: Path) -> pd.DataFrame:
    """A table that `update` wrote; raises UserError where there is none."""
    if not path.is_file():
        raise UserError(f"no results table {path}; `python -m dyadic.report.tables` writes it")
    table = pd.read_csv(path, keep_default_na=True)
    whole = {column: table[column].astype("Int64") for column in WHOLE}
    return table.assign(**whole).astype({"integers": str, "hardware": str})


def act(options: Any) -> int:
    """Write the tables and the README's block; or 1 where the block is not the table's."""
    stem, readme = options.out, options.readme
    if not options.check:
        table = results_table(overview(read_records(options.runs)), options.match)
        if table.empty:
            raise UserError(f"no finished run in {options.runs}; `make run` makes one")
        write_text(stem.with_suffix(".csv"), csv(table))
        write_text(stem.with_suffix(".md"), markdown(table) + "\n")
    text = readme.read_text(encoding="utf-8")
    fresh = insert(text, markdown(read_table(stem.with_suffix(".csv"))), BEGIN, END)
    if options.check and fresh != text:
        print(f"{readme} is stale: run `python -m dyadic.report.tables`", file=sys.stderr)
        return 1
    if not options.check:
        write_text(readme, fresh)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    stem = Path("results/tables/results")
    paths = {"runs": Path("results/runs"), "out": stem, "readme": Path("README.md")}
    return command("tables", act, arguments, ("runs",), **paths, match="*", check=False)


if __name__ == "__main__":
    sys.exit(main())
