"""Result tables from run records: CSV, Markdown, and the block of the README between its marks.

    python -m dyadic.report.tables [RUNS] [--match GLOB]    results.csv, results.md, README.md
    python -m dyadic.report.tables --check                  exit code 1 where the README is stale

The README is filled from the committed `results/tables/results.csv`, so `--check` needs no runs.
"""

import argparse
import sys
from fnmatch import fnmatch
from pathlib import Path

import pandas as pd

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.data.frames import csv, where
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations
from dyadic.report.text import DECIMALS, insert, markdown

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"

WHOLE = ["bits", "levels", "seeds", "epochs"]


def results_table(runs: pd.DataFrame, match: str = "*") -> pd.DataFrame:
    """The table that a reader sees: a row a configuration, top-1 in percent, rounded for print.

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
            "levels": table.levels,
            "seeds": table.seeds,
            "float top-1": table.float_top1,
            "top-1": table.top1,
            "sd": table.top1_sd,
            "drop": table.top1_drop,
            "MiB": table.size_mib,
            "GBOPS": table.gbops,
            "integers": [checked.get(value, "") for value in table.integer_passed],
            "epochs": table.epochs_quantize,
            "hardware": table.hardware,
        }
    )
    for column in WHOLE:
        frame[column] = frame[column].round().astype("Int64")
    return frame.round({**DECIMALS})


def write_table(table: pd.DataFrame, stem: Path) -> None:
    """`stem.csv` and `stem.md` beside it."""
    write_text(stem.with_suffix(".csv"), csv(table))
    write_text(stem.with_suffix(".md"), markdown(table) + "\n")


def read_table(path: Path) -> pd.DataFrame:
    """A table that `write_table` wrote; raises UserError where there is none."""
    if not path.is_file():
        raise UserError(f"no results table {path}; `python -m dyadic.report.tables` writes it")
    table = pd.read_csv(path, keep_default_na=True)
    for column in WHOLE:
        table[column] = table[column].astype("Int64")
    return table.astype({name: str for name in ("integers", "hardware")})


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dyadic.report.tables", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="?", default=Path("results/runs"))
    parser.add_argument("--match", default="*", help="only runs whose name matches this glob")
    parser.add_argument("--out", type=Path, default=Path("results/tables/results"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--check", action="store_true", help="fail where the README is stale")
    options = parser.parse_args(arguments)
    try:
        return check(options) if options.check else update(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2


def update(options: argparse.Namespace) -> int:
    """Write the tables and the README's block."""
    table = results_table(overview(read_records(options.runs)), options.match)
    if table.empty:
        raise UserError(f"no finished run in {options.runs}; `make run` makes one")
    write_table(table, options.out)
    readme = options.readme.read_text(encoding="utf-8")
    write_text(options.readme, insert(readme, _block(options.out), BEGIN, END))
    return 0


def check(options: argparse.Namespace) -> int:
    """1 with a line on stderr where the README's block is not the table's."""
    readme = options.readme.read_text(encoding="utf-8")
    if insert(readme, _block(options.out), BEGIN, END) == readme:
        return 0
    print(f"{options.readme} is stale: run `python -m dyadic.report.tables`", file=sys.stderr)
    return 1


def _block(stem: Path) -> str:
    return markdown(read_table(stem.with_suffix(".csv")))


if __name__ == "__main__":
    sys.exit(main())
