"""The page: every run record on one self-contained HTML file that opens from disk.

    python -m dyadic.report.dashboard [RUNS] [OUT] [--watch]

Nothing on the page is typed in and nothing is fetched: charts are declarations that the Vega
runtime in the file draws, images are `data:` addresses. `DETAILED` runs are shown whole; the page
says which.
"""

import base64
import gc
import gzip
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
from dyadic.report.charts.drawing import COLOURS, CONFIG, Drawing, dark_rules, runtime
from dyadic.report.command import command
from dyadic.report.data.frames import ordered, rows, where
from dyadic.report.data.published import read_published, read_tables
from dyadic.report.data.runs import kind_of, overview
from dyadic.report.data.seeds import SETTING, configurations, done_runs
from dyadic.report.data.verdicts import read_verdicts, scoreboard
from dyadic.report.fronts import front_sections, read_fronts
from dyadic.report.page.claims import papers
from dyadic.report.page.overview import GENERATED, settings
from dyadic.report.page.run import comparisons, detail
from dyadic.report.text import plural

DETAILED, WATCH_SECONDS = 48, 5
HEADINGS = [  # of the table of runs: key, heading, whether it is a number
    *[("name", "run", False), ("method", "method", False), ("bits", "bits", True)],
    *[("top1", "top-1, %", True), ("drop", "drop", True), ("seeds", "mean of seeds", True)],
    *[("seed", "seed", True), ("size", "MiB", True)],
    *[("gbops", "GBOPS", True), ("check", "integers", False), ("time", "minutes", True)],
    *[("model", "network", False), ("dataset", "data", False)],
]


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
    records, drawn, bins = read_records(runs), list[Drawing](), dict[str, int]()

    def chart(drawing: Drawing, run: str = "") -> int:
        """The number under which the page draws a chart; the histograms of a run can be found."""
        drawn.append(drawing)
        bins[run] = len(drawn) - 1
        return bins[run]

    environment = Environment(
        loader=PackageLoader("dyadic.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    for function in (text.number, text.percent, text.cells, text.numeric, chart):
        environment.filters[function.__name__] = function
    template = environment.get_template("dashboard.html.j2")
    body = template.render(_content(records, runs, published, tables), refresh=refresh)
    data = {
        "config": CONFIG,
        "runtime": runtime(),
        "compare": comparisons([r for r in records if r.status != BROKEN], bins),
        "drawn": [{"declared": d.declared, "data": d.data} for d in drawn],
    }
    write_text(out, body.replace("<!-- data -->", packed(data), 1))


def packed(data: Any) -> str:
    """Data for the page's script: JSON, tables by their columns and rows, compressed."""

    def split(table: pd.DataFrame) -> Any:
        return json.loads(str(table.to_json(orient="split", index=False)))

    said = json.dumps(data, default=split, separators=(",", ":"))
    return base64.b64encode(gzip.compress(said.encode(), 6)).decode()


def _content(
    records: Sequence[Record], runs: Path, published: Path, tables: Path
) -> dict[str, Any]:
    """All that the template shows."""
    frame, fronts = overview(records), read_fronts(runs.parent / "pareto")
    table, verdicts = configurations(frame), read_verdicts(tables / "claims.csv")
    theirs, ours = read_published(published), read_tables(tables)
    by_name = {r.name: (r, row) for r, row in zip(records, frame.itertuples(), strict=True)}
    details = [detail(*by_name[name]) for name in sorted(chosen(frame))]
    stopped = where(frame, frame.status.isin([FAILED, BROKEN]))
    columns = [c for c in HEADINGS if c[0] not in ("model", "dataset") or len(set(frame[c[0]])) > 1]
    return {
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "methods": len(set(table.method)),
        "statuses": frame.status.value_counts().to_dict(),
        "stopped": stopped.filter(["name", "status", "reason"]),
        "integers": integers(frame),
        "scores": scoreboard(verdicts),
        "settings": settings(frame, table, records),
        "columns": columns,
        "rows": run_rows(frame, table),
        "choices": {key: sorted(set(frame[key]) - {""}) for key in ("dataset", "model", "method")}
        | {"bits": [f"{b:g}" for b in sorted(frame.bits.dropna().unique())]},
        "papers": papers(theirs, ours, verdicts),
        "fronts": front_sections(fronts, records),
        "details": details,
        "conventions": {
            name: dict.fromkeys(str(r.summary[key]) for r in records if r.summary.get(key))
            for name, key in (("Size", "size_convention"), ("GBOPS", "bops_convention"))
        },
        "colours": COLOURS,
        "dark_rules": Markup(dark_rules()),
    }


def run_rows(frame: pd.DataFrame, table: pd.DataFrame) -> list[dict[str, Any]]:
    """The runs of `overview`, each with the mean of its row of `configurations`, and its widths."""
    means = table.rename(columns={"top1": "mean", "top1_sd": "sd"})
    keys = ["configuration", *SETTING]
    joined = frame.merge(means.filter([*keys, "mean", "sd", "seeds"]), on=keys, how="left")
    kinds = frame.allocation.map(kind_of) + " " + frame.mean_bits.map("{:.1f}".format)
    joined = joined.assign(kind=kinds.str.replace("nan", ""), seeds=joined.seeds.fillna(0))
    return rows(joined.assign(width=frame.bits.fillna(frame.mean_bits)).astype({"seeds": int}))


def integers(frame: pd.DataFrame) -> tuple[str, str, str]:
    """Whether integers and float64 agree: verdict (`good`, `bad`, `open`), claim, explanation."""
    done = done_runs(frame)
    checked = where(done, done.integer_passed.notna())
    if checked.empty:
        return "open", "No run has been checked on integers yet.", ""
    failed, images = (~checked.integer_passed.astype(bool)).sum(), checked.integer_images.max()
    engines, left = max(checked.engines, key=len).split(), len(done) - len(checked)
    how = f"{plural(len(engines), 'engine')} ({', '.join(engines)}) and float64"
    how += f", up to {plural(int(images), 'image')} a run" if images == images else ""
    how += f"; {plural(left, 'run')} not deployed." if left else "."
    if failed:
        return "bad", f"Integers differ in {failed} of {plural(len(checked), 'run')}.", how
    count = plural(len(checked), "checked run")
    return "good", f"No logit differs in {len(checked)} of {count}.", how


def chosen(frame: pd.DataFrame) -> list[str]:
    """At most `DETAILED` names: runs in progress, the best of each kind, the most recent.

    The best ones on the whole training set first, and with integers checked.
    """
    recent = ordered(frame, "ended", descending=True)
    running, done = where(recent, recent.status == "running"), done_runs(recent)
    later = (done.dataset == GENERATED) * 4 + (done.held_out > 0) * 2 + done.integer_passed.isna()
    best = ordered(done.assign(later=later), "top1", descending=True)
    best = ordered(best.drop_duplicates([*SETTING, "method", "bits", "allocation"]), "later")
    return list(dict.fromkeys([*running.name, *best.name, *done.name]))[:DETAILED]


def _act(options: Any) -> int:
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
    gc.set_threshold(200_000)  # records are a million objects that stay: looking for others is slow
    runs, out = Path("results/runs"), Path("results/dashboard.html")
    return command("dashboard", _act, arguments, runs=runs, out=out, watch=False)


if __name__ == "__main__":
    sys.exit(main())
