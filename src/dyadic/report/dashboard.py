"""The page: every run record on one self-contained HTML file that opens from disk.

    python -m dyadic.report.dashboard [RUNS] [OUT] [--watch]

Nothing on the page is typed in and nothing is fetched: charts are declarations that the Vega
runtime in the file draws, images are `data:` addresses. A page for a thousand runs stays below
5 MB, because only `DETAILED` runs are shown whole; the page says which.
"""

import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import BROKEN, FAILED, Record, read_records
from dyadic.report import text
from dyadic.report.charts.drawing import COLOURS, CONFIG, RUNS, Drawing, dark_rules, packed, runtime
from dyadic.report.command import command
from dyadic.report.data.frames import first_of_each, ordered, rows, where
from dyadic.report.data.fronts import read_fronts
from dyadic.report.data.published import read_published, read_tables
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import HELD, NOT_HELD, SETTING, configurations, finished
from dyadic.report.data.verdicts import KINDS, read_verdicts, scoreboard
from dyadic.report.page.compare import comparisons
from dyadic.report.page.front import fronts as front_sections
from dyadic.report.page.overview import GENERATED, kind_of, settings, slots
from dyadic.report.page.paper import papers
from dyadic.report.page.run import Detail, detail
from dyadic.report.text import plural

DETAILED = 48
DETAIL_CHARACTERS = 1_500_000
"""Beyond this the remaining runs stay without details, so that the page opens at once."""

WATCH_SECONDS = 5
COLUMNS = [  # of the table of runs: key, heading, whether it is a number
    *[("name", "run", False), ("method", "method", False), ("bits", "bits", True)],
    *[("top1", "top-1, %", True), ("drop", "drop", True), ("seeds", "mean of seeds", True)],
    *[("seed", "seed", True), ("levels", "levels", True), ("size", "MiB", True)],
    *[("gbops", "GBOPS", True), ("check", "integers", False), ("time", "time", True)],
    *[("model", "network", False), ("dataset", "data", False)],
]


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
        said = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)[1:-1]
        said = f'{{{said},"declared":[{",".join(self.declared)}],"drawn":[{drawn}]}}'
        return Markup(said.replace("<", "\\u003c"))


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
    environment = Environment(
        loader=PackageLoader("dyadic.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["chart"] = charts.add
    for name in ("number", "percent", "signed", "interval", "duration"):
        environment.filters[name] = getattr(text, name)
    template = environment.get_template("dashboard.html.j2")
    body = template.render(_content(records, runs, published, tables), refresh=refresh)
    compare = comparisons([r for r in records if r.status != BROKEN], charts.number)
    script = f"<script>{runtime()}</script>\n"
    data = f'<script type="application/json" id="data">{charts.script(compare)}</script>\n'
    write_text(out, body.replace("<!-- scripts -->", script + data, 1))


def _content(
    records: Sequence[Record], runs: Path, published: Path, tables: Path
) -> dict[str, Any]:
    """All that the template shows."""
    frame, fronts = overview(records), read_fronts(runs.parent / "pareto")
    table, colours = configurations(frame), slots(frame)
    verdicts = read_verdicts(tables / "claims.csv")
    details = _details(records, frame, fronts)
    theirs, ours = read_published(published), read_tables(tables)
    board = rows(scoreboard(verdicts))
    light, dark = (
        "; ".join(f"--{name}: {pair[side]}" for name, pair in COLOURS.items()) for side in (0, 1)
    )
    return {
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "counts": _counts(frame),
        "stopped": rows(where(frame, frame.status.isin([FAILED, BROKEN]))),
        "integers": integers(frame),
        "kinds": KINDS,
        "scores": sorted(board, key=lambda r: (-(r[HELD] + r[NOT_HELD]), -r["seeds"])),
        "settings": settings(records),
        "columns": COLUMNS,
        "rows": run_rows(frame, table),
        "detailed": {item.name for item in details},
        "choices": {key: sorted(set(frame[key]) - {""}) for key in ("dataset", "model", "method")},
        "bits": [f"{b:g}" for b in sorted(frame.bits.dropna().unique())],
        "papers": papers(theirs, table, ours, verdicts, colours),
        "fronts": front_sections(fronts, records),
        "details": details,
        "conventions": _conventions(records),
        "light": light,
        "dark": dark,
        "dark_rules": Markup(dark_rules()),
    }


def run_rows(frame: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The runs, each with the mean of the seeds of its configuration, and how widths were chosen.

    frame  of `overview`, table: of `configurations`
    """
    means = table.rename(columns={"top1": "mean", "top1_sd": "sd"})
    keys = ["configuration", *SETTING]
    joined = frame.merge(means.filter([*keys, "mean", "sd", "seeds"]), on=keys, how="left")
    mixed = [
        f"{kind_of(row['allocation'])} {text.number(row['mean_bits'], '.1f')}".strip()
        for row in rows(frame)
    ]
    width = frame.bits.fillna(frame.mean_bits)
    seeds = joined.seeds.fillna(0).astype(int)
    return rows(joined.assign(kind=mixed, width=list(width), seeds=seeds))


def _counts(frame: pd.DataFrame) -> list[tuple[str, str]]:
    methods = len(set(frame.method) - {""})
    by_status = [(f"{count}", status) for status, count in frame.status.value_counts().items()]
    return [(f"{methods}", "method" if methods == 1 else "methods"), *by_status]


def integers(frame: pd.DataFrame) -> tuple[str, str, str]:
    """Whether integers and float64 agree: verdict (`good`, `bad`, `open`), claim, explanation."""
    checked = where(frame, frame.integer_passed.notna() & (frame.status == "done"))
    passed = sum(map(bool, checked.integer_passed))
    done = len(finished(frame))
    if checked.empty:
        return "open", "No run has been checked on integers yet.", ""
    engines = max(checked.engines, key=len).split()
    images = checked.integer_images.max()
    how = f"{plural(len(engines), 'engine')} ({', '.join(engines)}) and float64"
    how += f", up to {plural(int(images), 'image')} a run" if images == images else ""
    if passed < len(checked):
        failed = len(checked) - passed
        return "bad", f"Integers differ in {failed} of {plural(len(checked), 'run')}.", f"{how}."
    rest = f"; {plural(done - passed, 'run')} not deployed" if done > passed else ""
    claim = f"No logit differs in {passed} of {plural(len(checked), 'checked run')}."
    return "good", claim, f"{how}{rest}."


def _details(
    records: Sequence[Record], frame: pd.DataFrame, fronts: dict[str, pd.DataFrame]
) -> list[Detail]:
    """The runs of `chosen`, up to `DETAIL_CHARACTERS` of charts and images, by name."""
    by_name = {r.name: (r, row) for r, row in zip(records, frame.itertuples(), strict=True)}
    shown, size = list[Detail](), 0
    for name in chosen(frame):
        item = detail(*by_name[name], fronts)
        drawn = [figure for figure in (*item.figures, item.layers, item.histograms) if figure]
        size += sum(len(packs(figure)) for figure in drawn)
        size += sum(len(address) for address, _ in item.images)
        if size > DETAIL_CHARACTERS:
            break
        shown.append(item)
    return sorted(shown, key=lambda item: item.name)


def chosen(frame: pd.DataFrame) -> list[str]:
    """At most `DETAILED` names: runs in progress, the best of each kind, the most recent.

    The best ones on the whole training set first, and with integers checked.
    """
    recent = ordered(frame, "ended", descending=True)
    running, done = where(recent, recent.status == "running"), finished(recent)
    ranked = done.assign(
        later=(done.dataset == GENERATED) * 2 + (done.held_out > 0),
        unchecked=done.integer_passed.isna(),
    )
    kinds = [*SETTING, "method", "bits", "allocation"]
    best = first_of_each(ordered(ranked, "top1", descending=True), kinds)
    best = ordered(best, ["later", "unchecked"])
    return list(dict.fromkeys([*running.name, *best.name, *done.name]))[:DETAILED]


def _conventions(records: Sequence[Record]) -> list[tuple[str, str]]:
    """What the records say about how size and bit operations are counted."""
    keys = {"size_convention": "Size", "bops_convention": "GBOPS"}
    found = [(name, str(r.summary.get(key, ""))) for key, name in keys.items() for r in records]
    return [pair for pair in dict.fromkeys(found) if pair[1]]


def act(options: Any) -> int:
    """Write the page, or with --watch again and again until it is interrupted."""
    if not options.runs.is_dir():
        raise UserError(f"no folder {options.runs}; `make run` makes the first run record")
    while options.watch:
        write_dashboard(options.runs, options.out, refresh=WATCH_SECONDS)
        time.sleep(WATCH_SECONDS)
    write_dashboard(options.runs, options.out)
    print(options.out)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    paths: dict[str, Any] = {"runs": Path("results/runs"), "out": Path("results/dashboard.html")}
    return command("dashboard", act, arguments, **paths, watch=False)


if __name__ == "__main__":
    sys.exit(main())
