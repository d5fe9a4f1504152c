"""Single charts as SVG files, for a README or a paper: those of the page.

python -m dyadic.report.figures [RUNS] [OUT]      top1_against_bits.svg, pareto_size_mib.svg ...
"""

import sys
from pathlib import Path
from typing import Any

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.charts.drawing import svg
from dyadic.report.command import command
from dyadic.report.page.overview import settings


def write_figures(runs: Path, out: Path) -> list[Path]:
    """The charts of the setting with the most evidence, as files; returns their paths.

    Raises UserError where no run has finished.
    """
    found = settings(read_records(runs))
    if not found:
        raise UserError(f"no finished run in {runs}; `make run` makes one")
    for name, figure in found[0]["figures"].items():
        write_text(out / f"{name}.svg", svg(figure))
    return [out / f"{name}.svg" for name in found[0]["figures"]]


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""

    def act(options: Any) -> int:
        print(*write_figures(options.runs, options.out), sep="\n")
        return 0

    folders: dict[str, Any] = {"runs": Path("results/runs"), "out": Path("results/figures")}
    return command("figures", act, arguments, **folders)


if __name__ == "__main__":
    sys.exit(main())
