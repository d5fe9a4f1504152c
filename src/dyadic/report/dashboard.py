"""The page: every run record on one self-contained HTML file that opens from disk.

    python -m dyadic.report.dashboard [RUNS] [OUT] [--watch]

Nothing on the page is typed in and nothing is fetched: charts are declarations that the Vega
runtime in the file draws. `DETAILED` runs are shown whole; the page says which.
"""

import base64
import gc
import gzip
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import BROKEN, FAILED, read_records
from dyadic.report.charts import COLOURS, CONFIG, Drawing, dark_rules
from dyadic.report.command import command
from dyadic.report.data.claims import REPEAT
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import SETTING, configurations, done_runs
from dyadic.report.data.verdicts import read_verdicts, scoreboard
from dyadic.report.fronts import omega_figure, read_fronts, scored
from dyadic.report.page.claims import counted, papers, pictures, verdict_table
from dyadic.report.page.overview import GENERATED, settings
from dyadic.report.page.run import detail, drawn_runs
from dyadic.report.tables import cells, numeric, ordered, percent, plural, where

DETAILED, WATCH_SECONDS = 48, 5
STOPPED = ["name", "status", "reason"]
CONVENTIONS = ["size_convention", "bops_convention"]


def write_dashboard(
    runs: Path, out: Path, tables: Path = Path("results/tables"), refresh: int | None = None
) -> None:
    """Write the page `out` from the records in `runs`, and the fronts in `pareto` beside them.

    tables   folder of the experiments' tables and of `claims.csv`; it may be missing
    refresh  seconds after which an open page loads itself again; None: never
    """
    records, drawn = read_records(runs), list[Drawing]()

    def chart(drawing: Drawing) -> int:
        """The number under which the page draws a chart."""
        drawn.append(drawing)
        return len(drawn) - 1

    frame, verdicts = overview(records), read_verdicts(tables / "claims.csv")
    table = configurations(frame)
    by_name = {r.name: (r, row) for r, row in zip(records, frame.itertuples(), strict=True)}
    fronts, detailed = read_fronts(runs.parent / "pareto"), chosen(frame)
    content = {
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "refresh": refresh,
        "statuses": frame.status.value_counts().to_dict(),
        "stopped": where(frame, frame.status.isin([FAILED, BROKEN])).filter(STOPPED),
        "integers": integers(frame),
        "scores": scoreboard(verdicts),
        "settings": settings(frame, table),
        "runs": run_table(frame, table),
        "papers": papers(tables, verdicts),
        "repeat": REPEAT,
        "fronts": [omega_figure(scored(front, records)) for front in fronts],
        "details": [detail(*by_name[name]) for name in sorted(detailed)],
        "conventions": {str(r.summary.get(key, "")) for key in CONVENTIONS for r in records},
        "colours": COLOURS,
        "dark_rules": dark_rules(),
    }
    page = template(chart).render(content)
    data = {
        "config": CONFIG,
        "runtime": cast(Any, vl_convert).javascript_bundle(),
        "runs": drawn_runs([r for r in records if r.status != BROKEN], frame, detailed),
        "drawn": [{"declared": d.declared, "data": d.data} for d in drawn],
    }
    write_text(out, page.replace("<!-- data -->", packed(data), 1))


def template(chart: Callable[[Drawing], int]) -> Template:
    """The page's template, which gives its charts their numbers by `chart`."""
    spaces: Any = {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(autoescape=True, undefined=StrictUndefined, **spaces)
    environment.loader = PackageLoader("dyadic.report")
    used = (cells, numeric, counted, verdict_table, pictures, chart)
    environment.filters |= {function.__name__: function for function in used}
    return environment.get_template("dashboard.html.j2")


def packed(data: Any) -> str:
    """Data for the page's script: JSON, tables by their columns and rows, compressed."""
    split: Any = {"orient": "split", "index": False}
    said = json.dumps(data, default=lambda table: json.loads(table.to_json(**split)))
    return base64.b64encode(gzip.compress(said.encode(), 6)).decode()


def run_table(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The runs of `overview` as the page shows them, with their row's mean of `configurations`."""
    keys = ["configuration", *SETTING]
    runs = frame.merge(table[[*keys, "top1", "top1_sd", "seeds"]], "left", keys, suffixes=("", "_"))
    means = zip(runs.top1_, runs.top1_sd, runs.seeds, strict=True)
    checked = runs.integer_passed.map({True: "equal", False: "differ"})
    ended = runs.status.str.removeprefix("done") + ", " + runs.phase + ", " + runs.reason.str[:60]
    shown = {
        "run": runs.name,
        "method": (runs.method + ", " + runs.allocation).str.removesuffix(", "),
        "bits": runs.bits.fillna(runs.mean_bits.round(1)),
        "top-1": runs.top1.round(2),
        "drop": runs.top1_drop.round(2),
        "mean of seeds": [f"{percent(m, sd)} ({n:g})" if n > 0 else "" for m, sd, n in means],
        "seed": runs.seed,
        "MiB": runs.size_mib.round(3),
        "GBOPS": runs.gbops.round(3),
        "integers": checked.fillna(ended.str.replace(", , ", ", ").str.strip(", ")),
        "minutes": (runs.seconds / 60).where(runs.seconds > 0).round(1),
        "network": runs.model,
        "data": runs.dataset,
    }
    one = [name for name in ("network", "data") if shown[name].nunique() < 2]
    return pd.DataFrame(shown).drop(columns=one)


def integers(frame: pd.DataFrame) -> tuple[str, str, str]:
    """Whether integers and float64 agree: verdict (`good`, `bad`, `open`), claim, explanation."""
    done = done_runs(frame)
    checked = where(done, done.integer_passed.notna())
    if checked.empty:
        return "open", "No run has been checked on integers yet.", ""
    count, engines = plural(len(checked), "checked run"), max(checked.engines, key=len).split()
    images, right = int(checked.integer_images.fillna(0).max()), int(checked.integer_passed.sum())
    how = f"Engines: {', '.join(engines)}, and float64, on up to {plural(images, 'image')} a run; "
    how += f"{plural(len(done) - len(checked), 'run')} not deployed."
    if right < len(checked):
        return "bad", f"Integers differ in {len(checked) - right} of {count}.", how
    return "good", f"No logit differs in {right} of {count}.", how


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
