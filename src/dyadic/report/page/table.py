"""The table of all runs, and the facts that stand above a run's charts."""

from typing import Any

import numpy as np
import pandas as pd

from dyadic.record.read import Record
from dyadic.report.data.frames import rows, where
from dyadic.report.data.seeds import SETTING
from dyadic.report.page.overview import kind_of, percent


def facts(record: Record, frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Name and value of what identifies the run; values that the record lacks are left out."""
    row = where(frame, frame.name == record.name).iloc[0]
    shown = {
        "data": row.dataset,
        "network": row.model,
        "weights": row.weight,
        "activations": row.activation,
        "schedule": row.schedule,
        "allocation": row.allocation,
        "seed": _number(row.seed),
        "top-1": f"{row.top1:.2f} %" if np.isfinite(row.top1) else "",
        "float top-1": f"{row.float_top1:.2f} %" if np.isfinite(row.float_top1) else "",
        "hardware": row.hardware,
        "ended": row.ended[:16].replace("T", " "),
        "note": row.note,
    }
    return [(key, value) for key, value in shown.items() if value]


def run_rows(
    records: list[Record], frame: pd.DataFrame, table: pd.DataFrame, detailed: set[str]
) -> list[dict[str, Any]]:
    """A row a run as text, with the mean of the seeds of its configuration.

    frame     of `dyadic.report.data.runs.overview`, a row a record
    table     of `dyadic.report.data.seeds.configurations`
    detailed  names of the runs that the page shows in detail
    """
    seeds = {_group(row): row for row in rows(table)}
    return [
        _run_row(row, seeds.get(_group(row)), record, row["name"] in detailed)
        for row, record in zip(rows(frame), records, strict=True)
    ]


def _group(row: dict[str, Any]) -> tuple[str, ...]:
    """What a row shares with the runs that differ only in their seed."""
    return tuple(str(row[key]) for key in ("configuration", *SETTING))


def _run_row(
    row: dict[str, Any], group: dict[str, Any] | None, record: Record, detailed: bool
) -> dict[str, Any]:
    status, top1 = row["status"], row["top1"]
    if status != "done":
        history = record.history()
        status += f", epoch {history.epoch.iloc[-1]:g}" if len(history) else ""
    seeds = f"{percent(group['top1'], group['top1_sd'])} ({group['seeds']})" if group else ""
    check = {True: "equal", False: "differ"}.get(row["integer_passed"], "")
    return {
        "name": row["name"],
        "detailed": detailed,
        "status": status,
        "done": row["status"] == "done",
        "dataset": row["dataset"],
        "model": row["model"],
        "method": row["method"],
        "bits": _number(row["bits"]) or _mixed(row),
        "width": _number(row["bits"]) or _number(row["mean_bits"], ".3f"),
        "levels": _number(row["levels"]),
        "seed": _number(row["seed"]),
        "top1": _number(top1, ".2f"),
        "drop": _number(row["top1_drop"], ".2f"),
        "seeds": seeds,
        "mean": _number(group["top1"], ".4f") if group else "",
        "size": _number(row["size_mib"], ".3f"),
        "gbops": _number(row["gbops"], ".3f"),
        "check": check,
        "seconds": _number(row["seconds"] or np.nan, ".0f"),
        "time": _duration(row["seconds"]),
    }


def _number(value: float, form: str = "g") -> str:
    return format(value, form) if np.isfinite(value) else ""


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
