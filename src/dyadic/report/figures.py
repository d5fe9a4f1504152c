"""Single charts as SVG files, for a README or a paper: the page's own drawings with their colours.

python -m dyadic.report.figures [RUNS] [OUT]      top1_against_bits.svg, pareto_size_mib.svg ...
"""

import argparse
import re
import sys
import textwrap
from pathlib import Path

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import read_records
from dyadic.report.charts import svg
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import configurations
from dyadic.report.page.overview import Figure, settings, slots

TEMPLATES = Path(__file__).parent / "templates"
MARGIN, TITLE = 16.0, 30.0
SIZE, LINE = 14, 18.0
"""Of the title: its letters, and from line to line."""


def standalone(figure: Figure) -> str:
    """The chart as a file of its own: its title on top, its style inside, light and dark."""
    left, top, width, height = map(float, re.findall(r'viewBox="([^"]+)"', figure.svg)[0].split())
    lines = textwrap.wrap(figure.title, int(width / svg.text_width("n", SIZE)))
    head_room = TITLE + LINE * (len(lines) - 1)
    box = (left - MARGIN, top - head_room - MARGIN)
    box += (width + 2 * MARGIN, height + head_room + 2 * MARGIN)
    style = "".join((TEMPLATES / name).read_text() for name in ("colours.css", "chart.css"))
    background = '<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" fill="var(--paper)"/>'
    title = "".join(
        svg.text(line, 0.0, 6 - head_room + TITLE / 2 + LINE * k, "title")
        for k, line in enumerate(lines)
    )
    style += f".chart .title {{ fill: var(--ink); font-size: {SIZE}px; font-weight: 650; }}"
    head = f"<style>{style}</style>{background.format(*box)}{title}"
    namespace = '<svg xmlns="http://www.w3.org/2000/svg" '
    opened = re.sub(r'viewBox="[^"]+"', f'viewBox="{" ".join(f"{v:g}" for v in box)}"', figure.svg)
    opened = opened.replace("<svg ", namespace + f'width="{2 * box[2]:g}" ', 1)
    return re.sub(r"(<svg [^>]*>)", lambda match: match[1] + head, opened, count=1) + "\n"


def write_figures(runs: Path, out: Path) -> list[Path]:
    """The charts of the setting with most runs, as files; returns their paths.

    Raises UserError where no run has finished.
    """
    frame = overview(read_records(runs))
    found = settings(frame, configurations(frame), slots(frame))
    if not found:
        raise UserError(f"no finished run in {runs}; `make run` makes one")
    written = []
    for name, figure in found[0]["figures"].items():
        path = out / f"{name}.svg"
        write_text(path, standalone(figure))
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
