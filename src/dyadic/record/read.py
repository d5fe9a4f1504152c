"""Run records: `results/runs/<name>/` read into plain values and data frames.

A run writes `config.yaml` and `history.csv` as it goes, `layers.csv` and `histograms.npz` near its
end and `summary.json` last of all, atomically. So a folder with a readable summary is a finished
run, and everything else is a run in progress, one that failed or was interrupted. Reading never
fails: half of a line that is being written is left out, and a finished run with a file that cannot
be read is `broken`, with its reason.
"""

import io
import json
import math
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from dyadic.record import schema
from dyadic.record.identity import float_choices, identify

RUNNING_SECONDS = 900
"""A folder without summary whose files changed this recently belongs to a run in progress."""


@dataclass(frozen=True)
class Record:
    """One run's folder: its summary (empty until the run has finished) and its files on demand.

    status  `done`, `running` (files changed within `RUNNING_SECONDS`), `unfinished`, `failed` (it
            left `error.txt`) or `broken` (a file of a finished run cannot be read)
    reason  of a failed or broken run, one line
    """

    path: Path
    summary: dict[str, Any]
    status: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.path.name

    def config(self) -> str:
        """The text of `config.yaml`; empty where there is none."""
        try:
            return (self.path / schema.CONFIG).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    @cached_property
    def choices(self) -> dict[str, Any]:
        """`config.yaml` as values; empty where it is none."""
        try:
            found = yaml.load(self.config(), LOADER)
        except yaml.YAMLError:
            return {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def identity(self) -> dict[str, str]:
        """The digests of `dyadic.record.identity`; worked out again where the record has none."""
        found = self.summary.get("identity")
        if isinstance(found, dict):
            return found
        precision = str(self.summary.get("precision") or "")
        return identify(self.choices, float_choices(self.choices, precision))

    @cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        """What has been read: a page asks for every table several times."""
        return {}

    def table(self, name: str) -> pd.DataFrame:
        """One of the record's CSV files, to be read only; raises what of `UNREADABLE` it meets."""
        if name not in self._tables:
            self._tables[name] = _table(self.path / name)
        return self._tables[name]

    def readable(self, name: str) -> pd.DataFrame:
        """One of the record's CSV files; empty where there is none to read."""
        try:
            return self.table(name)
        except UNREADABLE:
            return pd.DataFrame()

    def history(self) -> pd.DataFrame:
        """`histories` of this run alone."""
        return histories([self])

    def layers(self) -> pd.DataFrame:
        """`layers.csv`, a row a weight layer in execution order; empty where there is none yet."""
        return self.readable(schema.LAYERS)

    def histograms(self) -> dict[str, NDArray[Any]]:
        """`histograms.npz` by key; empty where there is none or it cannot be read."""
        try:
            path = self.path / schema.HISTOGRAMS
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
        except UNREADABLE:
            return {}


ESCAPE = "^'(?=[=+@\t\r-])"  # of `files.harmless`
UNREADABLE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises; pandas' ParserError is a ValueError."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def histories(records: Sequence[Record]) -> pd.DataFrame:
    """Every `history.csv`, a row an epoch, with the column `run`; empty where there is none yet."""
    frame = _below(records, schema.HISTORY).reindex(columns=["run", *schema.HISTORY_COLUMNS])
    for column in schema.numeric_columns(schema.HISTORY_COLUMNS):
        frame[column] = numbers(frame[column])
    for column in ("phase", "event"):
        frame[column] = frame[column].astype(object).fillna("").astype(str)
    return frame.dropna(subset=["epoch"])


def all_layers(records: Sequence[Record]) -> pd.DataFrame:
    """Every `layers.csv`, a row a weight layer in execution order, with the column `run`."""
    return _below(records, schema.LAYERS)


def _below(records: Sequence[Record], name: str) -> pd.DataFrame:
    """The CSV files of this name, one below the other."""
    frames = {record.name: record.readable(name) for record in records}
    if not frames:
        return pd.DataFrame(columns=["run"])
    return pd.concat(frames, names=["run"]).reset_index(level=0).reset_index(drop=True)


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file up to its last complete line; an empty frame where there is none to read."""
    try:
        return _table(path)
    except UNREADABLE:
        return pd.DataFrame()


def _table(path: Path) -> pd.DataFrame:
    text = path.read_text(encoding="utf-8", errors="replace")
    complete = text[: text.rfind("\n") + 1]
    if not complete.strip():
        return pd.DataFrame()
    table = pd.read_csv(io.StringIO(complete), on_bad_lines="skip")
    if "'" not in complete:
        return table
    texts = table.select_dtypes(["object", "string"])
    return table.assign(**{name: texts[name].replace(ESCAPE, "", regex=True) for name in texts})


def read_records(runs: Path) -> list[Record]:
    """Every run under `runs`, sorted by name. A folder that is no run (no config) is left out."""
    folders = sorted(path for path in runs.glob("*") if path.is_dir())
    return [record for path in folders if (record := read_record(path)) is not None]


def read_record(path: Path) -> Record | None:
    """The run in this folder, or None where the folder holds no run."""
    if (path / schema.SUMMARY).is_file():
        try:
            summary = _summary(path / schema.SUMMARY)
        except (OSError, ValueError) as error:
            return Record(path, {}, BROKEN, f"{schema.SUMMARY}: {_line(error)}")
        record = Record(path, summary, str(summary.get("status", "done")))
        reason = _damage(record)
        return Record(path, summary, BROKEN, reason) if reason else record
    if (path / schema.ERROR).is_file():
        text = (path / schema.ERROR).read_text(encoding="utf-8", errors="replace").strip()
        return Record(path, {}, FAILED, text.splitlines()[-1] if text else "no reason was written")
    touched = [p.stat().st_mtime for p in path.glob("*") if p.suffix in (".yaml", ".csv")]
    if not touched:
        return None
    running = time.time() - max(touched) < RUNNING_SECONDS
    return Record(path, {}, "running" if running else "unfinished")


BROKEN, FAILED = "broken", "failed"


def _summary(path: Path) -> dict[str, Any]:
    """The summary; ValueError where it is no mapping or holds a number that is none."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(summary, dict):
        raise ValueError("it is no mapping")
    _check_finite(summary, "")
    return summary


def _check_finite(value: Any, key: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} is {value}, which is no number")
    if isinstance(value, list):
        value = dict(enumerate(value))
    for name, part in value.items() if isinstance(value, dict) else ():
        _check_finite(part, f"{key}.{name}".strip("."))


def _damage(record: Record) -> str:
    """The first file of a finished run that cannot be read, and why; "" where all can."""
    for name in (schema.LAYERS, schema.HISTORY, schema.HISTOGRAMS):
        path = record.path / name
        try:
            if path.suffix == ".npz" and path.is_file():
                _check_archive(path)
            elif path.is_file():
                record.table(name)
        except UNREADABLE as error:
            return f"{name}: {_line(error)}"
    if record.config() and not record.choices:
        return f"{schema.CONFIG}: it is no mapping"
    return ""


def _check_archive(path: Path) -> None:
    """Compare every checksum of an archive."""
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} differs")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def numbers(values: Any) -> pd.Series:
    """A column as floats; what is no number becomes nan."""
    return pd.Series(pd.to_numeric(pd.Series(values), errors="coerce")).astype(float)
