"""How a run ended: found again on disk, and shown. Nothing heavy is imported for it."""

import logging
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from dyadic.errors import UserError
from dyadic.record.chosen import spent, strip, widths_of
from dyadic.record.config import REMEDY
from dyadic.record.files import Damaged, read_json
from dyadic.record.schema import LAYERS, SUMMARY

log = logging.getLogger(__name__)


def finished(directory: Path) -> dict[str, Any] | None:
    """The summary of a finished run, None where there is none: it is written last.

    Raises UserError for a damaged one.
    """
    try:
        return read_json(directory / SUMMARY)
    except FileNotFoundError:
        return None
    except Damaged as error:
        raise UserError(f"{error}; {REMEDY}") from None


def print_finished(summary: dict[str, Any], directory: Path) -> None:
    """The result of a run that was not repeated. Raises UserError where it is not whole."""
    log.info("already finished: %s (%s)", directory, REMEDY)
    try:
        print_summary(summary, directory)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{directory / SUMMARY} is damaged ({error}); {REMEDY}") from None


def print_summary(summary: dict[str, Any], directory: Path) -> None:
    """The result as a table on the terminal."""
    table = Table(title=summary["name"], show_header=False, title_justify="left")
    table.add_column()
    table.add_column(overflow="fold")  # a path that is cut off cannot be copied
    layers = widths_of(directory / LAYERS)
    start = f" ({summary['start']})" if "start" in summary else ""
    table.add_row("float top-1", f"{summary['float_top1']:.2f} %{start}")
    table.add_row("quantized top-1", f"{summary['top1']:.2f} %")
    table.add_row("drop", f"{summary['top1_drop']:+.2f} points")
    if layers and spent(summary):
        table.add_row("bits, W/A", strip(layers))
        for name, value in spent(summary):
            table.add_row(name, value)
    else:
        table.add_row("levels", str(summary["levels"]))
    table.add_row("size", f"{summary['size_mib']:.4f} MiB")
    table.add_row("GBOPS", f"{summary['gbops']:.4f}")
    if integer := summary["integer"]:
        engines = ", ".join(integer["engines"])
        table.add_row(
            "integer program", f"{integer['top1']:.2f} % top-1 on {integer['images']} images"
        )
        table.add_row("engines", f"{engines}: {integer['mismatched_logits']} logits differ")
    if summary.get("status") == "trial":
        table.add_row("trial", "two steps of each phase, few images: the numbers mean nothing")
    if summary["note"]:
        table.add_row("note", summary["note"])
    table.add_row("record", str(directory))
    Console().print(table)
