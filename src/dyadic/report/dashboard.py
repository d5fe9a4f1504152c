"""The page: every run record on one self-contained HTML file that opens from disk.

    python -m dyadic.report.dashboard [RUNS] [OUT] [--watch]

Nothing on the page is typed in and nothing is fetched: charts are declarations that the Vega
runtime in the file draws, images are `data:` addresses. A page for a thousand runs stays below
5 MB, because only `DETAILED` runs are shown whole; the page says which.
"""

import argparse
import json
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import BROKEN, FAILED, Record, read_records
from dyadic.report.charts.drawing import COLOURS, CONFIG, RUNS, Drawing, dark_rules, packed, runtime
from dyadic.report.data.frames import first_of_each, ordered, rows, where
from dyadic.report.data.fronts import read_fronts
from dyadic.report.data.published import read_published, read_tables
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import SETTING, configurations, finished
from dyadic.report.data.verdicts import KINDS, read_verdicts, scoreboard
from dyadic.report.page.claims import scores
from dyadic.report.page.compare import comparisons
from dyadic.report.page.front import fronts as front_sections
from dyadic.report.page.overview import GENERATED, settings, slots
from dyadic.report.page.paper import papers
from dyadic.report.page.run import Detail, detail
from dyadic.report.page.table import COLUMNS, run_rows
from dyadic.report.text import plural

DETAILED = 48
DETAIL_CHARACTERS = 1_500_000
"""Beyond this the remaining runs stay without details, so that the page opens at once."""

WATCH_SECONDS = 5


class Charts:
    """The charts of a page: every declaration once, and each chart's tables."""

    def __init__(self) -> None:
        self.declared: list[str] = []
        self.drawn: list[tuple[int, str]] = []
        self.number: dict[str, int] = {}

    def add(self, drawing: Drawing, name: str = "") -> int:
        """The chart's number, under which the page draws it; it can be found by a name."""
        if drawing.declared not in self.declared:
            self.declared.append(drawing.declared)
        self.drawn.append((self.declared.index(drawing.declared), packs(drawing)))
        self.number[name] = len(self.drawn) - 1
        return self.number[name]

    def script(self, compare: dict[str, Any]) -> Markup:
        """All of it as JSON that no HTML parser can end early."""
        drawn = ",".join(f"[{index},{tables}]" for index, tables in self.drawn)
        parts = {"config": CONFIG, "hues": RUNS, "compare": compare}
        text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)[1:-1]
        text = f'{{{text},"declared":[{",".join(self.declared)}],"drawn":[{drawn}]}}'
        return Markup(text.replace("<", "\\u003c"))


def packs(drawing: Drawing) -> str:
    """A chart's tables as JSON."""
    tables = {
        name: {column: packed(values) for column, values in columns.items()}
        for name, columns in drawing.columns().items()
    }
    return json.dumps(tables, separators=(",", ":"), ensure_ascii=False)


def write_dashboard(
    runs: Path,
    out: Path,
    published: Path = Path("experiments/published"),
    tables: Path = Path("results/tables"),
    refresh: int | None = None,
) -> None:
    """Write the page `out` from the records in `runs`, and the fronts in `pareto` beside them.

    published  folder of the papers' numbers; tables: folder of the experiments' tables and of
               `claims.csv`; either may be missing
    refresh    seconds after which an open page loads itself again; None: never
    """
    records, charts = read_records(runs), Charts()
    fronts = read_fronts(runs.parent / "pareto")
    verdicts = read_verdicts(tables / "claims.csv")
    context = page(records, read_published(published), read_tables(tables), fronts, verdicts)
    environment = Environment(
        loader=PackageLoader("dyadic.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["chart"] = charts.add
    template = environment.get_template("dashboard.html.j2")
    body = template.render(
        context,
        refresh=refresh,
        columns=COLUMNS,
        kinds=KINDS,
        light=_variables(0),
        dark=_variables(1),
        dark_rules=Markup(dark_rules()),
    )
    compare = comparisons([r for r in records if r.status != BROKEN], charts.number)
    script = f"<script>{runtime()}</script>\n"
    data = f'<script type="application/json" id="data">{charts.script(compare)}</script>\n'
    write_text(out, body.replace("<!-- scripts -->", script + data, 1))


def _variables(side: int) -> str:
    """The theme's colours as CSS variables."""
    return "; ".join(f"--{name}: {pair[side]}" for name, pair in COLOURS.items())


def page(
    records: list[Record],
    published: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    fronts: dict[str, pd.DataFrame],
    verdicts: pd.DataFrame,
) -> dict[str, Any]:
    """All that the template shows."""
    frame = overview(records)
    table, colours = configurations(frame), slots(frame)
    details = _details(records, frame, fronts)
    stopped = where(frame, frame.status.isin([FAILED, BROKEN]))
    return {
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "counts": _counts(frame),
        "stopped": rows(stopped),
        "integers": integers(frame),
        "scores": scores(scoreboard(verdicts)),
        "settings": settings(frame, table, records),
        "rows": run_rows(frame, table, {item["name"] for item in details}),
        "choices": {key: sorted(set(frame[key]) - {""}) for key in ("dataset", "model", "method")},
        "bits": [f"{b:g}" for b in sorted(frame.bits.dropna().unique())],
        "papers": papers(published, table, tables, verdicts, colours),
        "fronts": front_sections(fronts, records),
        "details": details,
        "conventions": _conventions(records),
    }


def _counts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    by_status = frame.status.value_counts()
    texts = [(f"{count}", status) for status, count in by_status.items()]
    methods = len(set(frame.method) - {""})
    return [(f"{methods}", "method" if methods == 1 else "methods"), *texts]


def integers(frame: pd.DataFrame) -> tuple[str, str, str]:
    """Whether integers and float64 agree: verdict (`good`, `bad`, `open`), claim, explanation."""
    checked = where(frame, frame.integer_passed.notna())
    passed = sum(map(bool, checked.integer_passed))
    done = len(finished(frame))
    if checked.empty:
        return "open", "No run has been checked on integers yet.", ""
    engines = max(checked.engines, key=len).split()
    images = int(np.nan_to_num(checked.integer_images.max()))
    how = f"{plural(len(engines), 'engine')} ({', '.join(engines)}) and float64, "
    how += f"up to {plural(images, 'image')} a run"
    if passed < len(checked):
        failed = len(checked) - passed
        return "bad", f"Integers differ in {failed} of {plural(len(checked), 'run')}.", f"{how}."
    rest = f"; {plural(done - passed, 'run')} not deployed" if done > passed else ""
    claim = f"No logit differs in {passed} of {plural(len(checked), 'checked run')}."
    return "good", claim, f"{how}{rest}."


def _details(
    records: list[Record], frame: pd.DataFrame, fronts: dict[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    """The runs of `chosen`, up to `DETAIL_CHARACTERS` of charts and images, by name."""
    by_name = {
        record.name: (record, row) for record, row in zip(records, frame.itertuples(), strict=True)
    }
    shown: list[Detail] = []
    size = 0
    for name in chosen(frame):
        item = detail(*by_name[name], fronts)
        drawn = [*item.figures, *([item.histograms] if item.histograms else [])]
        size += sum(len(packs(figure)) for figure in drawn)
        size += sum(len(address) for address, _ in item.images)
        if size > DETAIL_CHARACTERS:
            break
        shown.append(item)
    return [vars(item) for item in sorted(shown, key=lambda item: item.name)]


def chosen(frame: pd.DataFrame) -> list[str]:
    """At most `DETAILED` names: runs in progress, the best of each kind, the most recent.

    The best ones in the order of the settings: on the whole training set first, and with integers
    checked.
    """
    recent = ordered(frame, "ended", descending=True)
    running, done = where(recent, recent.status == "running"), finished(recent)
    ranked = done.assign(
        later=(done.dataset == GENERATED) * 2 + (done.held_out > 0),
        unchecked=done.integer_passed.isna(),
    )
    best = first_of_each(
        ordered(ranked, "top1", descending=True), [*SETTING, "method", "bits", "allocation"]
    )
    best = ordered(best, ["later", "unchecked"])
    names = [row["name"] for part in (running, best, done) for row in rows(part)]
    return list(dict.fromkeys(names))[:DETAILED]


def _conventions(records: list[Record]) -> list[tuple[str, str]]:
    """What the records say about how size and bit operations are counted."""
    keys = {"size_convention": "Size", "bops_convention": "GBOPS"}
    pairs = [
        (label, str(record.summary[key]))
        for key, label in keys.items()
        for record in records
        if record.summary.get(key)
    ]
    return list(dict.fromkeys(pairs))


def watch(options: argparse.Namespace) -> None:
    """Write the page again and again until interrupted."""
    while True:
        write_dashboard(options.runs, options.out, refresh=WATCH_SECONDS)
        time.sleep(WATCH_SECONDS)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dyadic.report.dashboard")
    parser.add_argument("runs", type=Path, nargs="?", default=Path("results/runs"))
    parser.add_argument("out", type=Path, nargs="?", default=Path("results/dashboard.html"))
    parser.add_argument("--watch", action="store_true", help="write it again every few seconds")
    options = parser.parse_args(arguments)
    try:
        if not options.runs.is_dir():
            raise UserError(f"no folder {options.runs}; `make run` makes the first run record")
        if options.watch:
            watch(options)
        write_dashboard(options.runs, options.out)
    except KeyboardInterrupt:
        return 0
    except (UserError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
