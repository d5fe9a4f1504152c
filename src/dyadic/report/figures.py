"""Single charts as SVG files, for a README or a paper: those of the page.

python -m dyadic.report.figures [RUNS] [OUT]      top1_against_bits.svg, pareto_size_mib.svg ...
"""

import argparse
import sys
from pathlib import Path

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.charts.drawing import svg
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations
from dyadic.report.page.overview import settings


def write_figures(runs: Path, out: Path) -> list[Path]:
    """The charts of the setting with the most evidence, as files; returns their paths.

    Raises UserError where no run has finished.
    """
    records = read_records(runs)
    frame = overview(records)
    found = settings(frame, configurations(frame), records)
    if not found:
        raise UserError(f"no finished run in {runs}; `make run` makes one")
    written = []
    for name, figure in found[0]["figures"].items():
        path = out / f"{name}.svg"
        write_text(path, svg(figure))
        written.append(path)
    return written


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dyadic.report.figures")
    parser.add_argument("runs", type=Path, nargs="?", default=Path("results/runs"))
    parser.add_argument("out", type=Path, nargs="?", default=Path("results/figures"))
    options = parser.parse_args(arguments)
    try:
        for path in write_figures(options.runs, options.out):
            print(path)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
