"""The table of all runs."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.report.data.frames import rows
from dyadic.report.data.seeds import SETTING
from dyadic.report.page.overview import kind_of
from dyadic.report.text import number, percent

COLUMNS = [  # key, heading, whether it is a number
    *[("name", "run", False), ("method", "method", False), ("bits", "bits", True)],
    *[("top1", "top-1, %", True), ("drop", "drop", True), ("seeds", "mean of seeds", True)],
    *[("seed", "seed", True), ("levels", "levels", True), ("size", "MiB", True)],
    *[("gbops", "GBOPS", True), ("check", "integers", False), ("time", "time", True)],
    *[("model", "network", False), ("dataset", "data", False)],
]


def run_rows(frame: pd.DataFrame, table: pd.DataFrame, detailed: set[str]) -> list[dict[str, Any]]:
    """A row a run as text, with the mean of the seeds of its configuration.

    frame     of `dyadic.report.data.runs.overview`, a row a record
    table     of `dyadic.report.data.seeds.configurations`
    detailed  names of the runs that the page shows in detail
    """
    seeds = {_group(row): row for row in rows(table)}
    return [_run_row(r, seeds.get(_group(r)), r["name"] in detailed) for r in rows(frame)]


def _group(row: dict[str, Any]) -> tuple[str, ...]:
    """What a row shares with the runs that differ only in their seed."""
    return tuple(str(row[key]) for key in ("configuration", *SETTING))


def _run_row(row: dict[str, Any], group: dict[str, Any] | None, detailed: bool) -> dict[str, Any]:
    seeds = f"{percent(group['top1'], group['top1_sd'])} ({group['seeds']})" if group else ""
    status = ", ".join(filter(None, [row["status"], row["phase"], row["reason"]]))
    return {
        "name": row["name"],
        "detailed": detailed,
        "status": status,
        "done": row["status"] == "done",
        "dataset": row["dataset"],
        "model": row["model"],
        "method": row["method"],
        "bits": number(row["bits"]) or _mixed(row),
        "width": number(row["bits"]) or number(row["mean_bits"], ".3f"),
        "levels": number(row["levels"]),
        "seed": number(row["seed"]),
        "top1": number(row["top1"], ".2f"),
        "drop": number(row["top1_drop"], ".2f"),
        "seeds": seeds,
        "mean": number(group["top1"], ".4f") if group else "",
        "size": number(row["size_mib"], ".3f"),
        "gbops": number(row["gbops"], ".3f"),
        "check": {True: "equal", False: "differ"}.get(row["integer_passed"], ""),
        "seconds": number(row["seconds"] or np.nan, ".0f"),
        "time": _duration(row["seconds"]),
    }


def _mixed(row: dict[str, Any]) -> str:
    """How widths were chosen layer by layer, and their mean."""
    kind = kind_of(row["allocation"])
    return f"{kind} {row['mean_bits']:.1f}" if np.isfinite(row["mean_bits"]) else kind


def _duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes from an hour on.

    >>> _duration(75), _duration(7500)
    ('1:15 min', '2:05 h')
    """
    if not seconds:
        return ""
    large, small = divmod(round(seconds), 60)
    if large < 60:
        return f"{large}:{small:02d} min"
    return f"{large // 60}:{large % 60:02d} h"
