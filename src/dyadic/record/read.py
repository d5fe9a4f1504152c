"""Run records: `results/runs/<name>/` read into plain values and data frames.

A run writes `config.yaml` and `history.csv` as it goes, `layers.csv` and `histograms.npz` near its
end and `summary.json` last of all, atomically. So a folder with a readable summary is a finished
run, and everything else is a run in progress or one that was interrupted; reading never fails on
the half of a line that is being written.
"""

import io
import json
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dyadic.record.identity import float_digest

RUNNING_SECONDS = 900
"""A folder without summary whose files changed this recently belongs to a run in progress."""

HISTORY_NUMBERS = [
    "epoch",
    "step",
    "train_loss",
    "val_loss",
    "top1",
    "top5",
    "quantized_share",
    "blend",
    "lr",
    "seconds",
]


@dataclass(frozen=True)
class Record:
    """One run's folder: its summary (empty until the run has finished) and its files on demand.

    status: `done`, `running` (files changed within `RUNNING_SECONDS`) or `unfinished`.
    """

    path: Path
    summary: dict[str, Any]
    status: str

    @property
    def name(self) -> str:
        """The folder's name, which is the run's."""
        return self.path.name

    def config(self) -> str:
        """The text of `config.yaml`; empty where there is none."""
        try:
            return (self.path / "config.yaml").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def float_network(self) -> str:
        """Which float network the run starts from, as `float_digest` says."""
        return float_digest(self.config(), str(self.summary.get("precision") or ""))

    def history(self) -> pd.DataFrame:
        """`history.csv`, a row an epoch; empty where there is none yet."""
        frame = read_csv(self.path / "history.csv")
        for column in HISTORY_NUMBERS:
            frame[column] = numbers(frame[column]) if column in frame else np.nan
        for column in ("phase", "event"):
            texts = frame[column].astype(object) if column in frame else pd.Series("", frame.index)
            frame[column] = texts.fillna("").astype(str)
        return frame.dropna(subset=["epoch"])

    def layers(self) -> pd.DataFrame:
        """`layers.csv`, a row a weight layer in execution order; empty where there is none yet."""
        return read_csv(self.path / "layers.csv")

    def histograms(self) -> dict[str, NDArray[Any]]:
        """`histograms.npz` by key; empty where there is none or it cannot be read."""
        try:
            with (
                (self.path / "histograms.npz").open("rb") as file,
                np.load(file, allow_pickle=False) as archive,
            ):
                return {key: archive[key] for key in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return {}


def read_csv(path: Path) -> pd.DataFrame:
    """A CSV file up to its last complete line; an empty frame where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return pd.DataFrame()
    complete = text[: text.rfind("\n") + 1]
    if not complete.strip():
        return pd.DataFrame()
    return pd.read_csv(io.StringIO(complete), on_bad_lines="skip")


def read_records(runs: Path) -> list[Record]:
    """Every run under `runs`, sorted by name. A folder that is no run (no config) is left out."""
    folders = sorted(path for path in runs.glob("*") if path.is_dir())
    return [record for path in folders if (record := read_record(path)) is not None]


def read_record(path: Path) -> Record | None:
    """The run in this folder, or None where the folder holds no run."""
    try:
        summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = None
    if isinstance(summary, dict):
        return Record(path, summary, str(summary.get("status", "done")))
    touched = [p.stat().st_mtime for p in path.glob("*") if p.suffix in (".yaml", ".csv")]
    if not touched:
        return None
    running = time.time() - max(touched) < RUNNING_SECONDS
    return Record(path, {}, "running" if running else "unfinished")


def numbers(values: Any) -> pd.Series:
    """A column as floats; what is no number becomes nan."""
    return pd.Series(pd.to_numeric(pd.Series(values), errors="coerce")).astype(float)
