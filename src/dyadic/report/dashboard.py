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
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dyadic.errors import UserError
from dyadic.record.files import write_text
from dyadic.record.read import BROKEN, FAILED, Record, read_records
from dyadic.report import text
from dyadic.report.charts import COLOURS, CONFIG, Drawing, dark_rules
from dyadic.report.command import command
from dyadic.report.data.frames import ordered, where
from dyadic.report.data.runs import overview
from dyadic.report.data.seeds import SETTING, configurations, done_runs
from dyadic.report.data.verdicts import read_verdicts, scoreboard
from dyadic.report.fronts import front_section, read_fronts, scored
from dyadic.report.page.claims import papers
from dyadic.report.page.overview import GENERATED, settings
from dyadic.report.page.run import comparisons, detail
from dyadic.report.text import percent, plural

DETAILED, WATCH_SECONDS = 48, 5


def write_dashboard(
    runs: Path, out: Path, tables: Path = Path("results/tables"), refresh: int | None = None
) -> None:
    """Write the page `out` from the records in `runs`, and the fronts in `pareto` beside them.

    tables   folder of the experiments' tables and of `claims.csv`; it may be missing
    refresh  seconds after which an open page loads itself again; None: never
    """
    records, drawn, bins = read_records(runs), list[Drawing](), dict[str, int]()

    def chart(drawing: Drawing) -> int:
        """The number under which the page draws a chart; the histograms of a run can be found."""
        drawn.append(drawing)
        if "bins" in drawing.data:
            bins[drawing.data["bins"].run.iloc[0]] = len(drawn) - 1
        return len(drawn) - 1

    environment = Environment(
        loader=PackageLoader("dyadic.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"cells": text.cells, "numeric": text.numeric, "chart": chart}
    frame = overview(records)
    content = _content(records, frame, read_fronts(runs.parent / "pareto"), tables)
    body = environment.get_template("dashboard.html.j2").render(content, refresh=refresh)
    data = {
        "config": CONFIG,
        "runtime": cast(Any, vl_convert).javascript_bundle(),
        "compare": comparisons([r for r in records if r.status != BROKEN], frame, bins),
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
    records: Sequence[Record], frame: pd.DataFrame, fronts: list[pd.DataFrame], tables: Path
) -> dict[str, Any]:
    """All that the template shows."""
    table, verdicts = configurations(frame), read_verdicts(tables / "claims.csv")
    by_name = {r.name: (r, row) for r, row in zip(records, frame.itertuples(), strict=True)}
    stopped = where(frame, frame.status.isin([FAILED, BROKEN]))
    return {
        "made": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "statuses": frame.status.value_counts().to_dict(),
        "stopped": stopped.filter(["name", "status", "reason"]),
        "integers": integers(frame),
        "scores": scoreboard(verdicts),
        "settings": settings(frame, table),
        "runs": run_table(frame, table),
        "papers": papers(tables, verdicts),
        "fronts": [front_section(scored(front, records)) for front in fronts],
        "details": [detail(*by_name[name]) for name in sorted(chosen(frame))],
        "conventions": {
            name: dict.fromkeys(str(r.summary[key]) for r in records if r.summary.get(key))
            for name, key in (("Size", "size_convention"), ("GBOPS", "bops_convention"))
        },
        "colours": COLOURS,
        "dark_rules": Markup(dark_rules()),
    }


def run_table(frame: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The runs of `overview` as the page shows them, with their row's mean of `configurations`."""
    keys = ["configuration", *SETTING]
    means = table.filter([*keys, "top1", "top1_sd", "seeds"])
    runs = frame.merge(means, "left", keys, suffixes=("", "_mean"))
    joined = zip(runs.top1_mean, runs.top1_sd, runs.seeds, strict=True)
    shown = {
        "run": runs.name,
        "method": (runs.method + ", " + runs.allocation).str.removesuffix(", "),
        "bits": runs.bits.fillna(runs.mean_bits.round(1)),
        "top-1": runs.top1.round(2),
        "drop": runs.top1_drop.round(2),
        "mean of seeds": [f"{percent(m, sd)} ({n:g})" if n > 0 else "" for m, sd, n in joined],
        "seed": runs.seed,
        "MiB": runs.size_mib.round(3),
        "GBOPS": runs.gbops.round(3),
        "integers": [_state(row) for row in runs.itertuples()],
        "minutes": (runs.seconds / 60).where(runs.seconds > 0).round(1),
        "network": runs.model,
        "data": runs.dataset,
    }
    one = [name for name in ("network", "data") if shown[name].nunique() < 2]
    return pd.DataFrame(shown).drop(columns=one)


def _state(row: Any) -> str:
    """Whether a run's integers are equal; of one that was not checked how it ended."""
    if row.integer_passed is not None:
        return "equal" if row.integer_passed else "differ"
    said = [row.status.removeprefix("done"), row.phase, row.reason[:60]]
    return ", ".join(filter(None, said))


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
