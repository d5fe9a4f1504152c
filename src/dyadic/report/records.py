"""Run records: `results/runs/<name>/` read into plain values and data frames.

A run writes `config.yaml` and `history.csv` as it goes, `layers.csv` and `histograms.npz` near its
end and `summary.json` last of all, atomically. So a folder with a readable summary is a finished
run, and everything else is a run in progress or one that was interrupted; reading never fails on
the half of a line that is being written.
"""

import io
import json
import re
import time
import zipfile
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from dyadic.report.fingerprints import configuration, float_digest
from dyadic.report.frames import numbers

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
TEXTS = ["name", "dataset", "model", "method", "status", "hardware", "started", "ended", "note"]
NUMBERS = [
    "bits",
    "mean_bits",
    "seed",
    "levels",
    "float_top1",
    "float_top5",
    "top1",
    "top5",
    "top1_drop",
    "size_mib",
    "gbops",
]
INTEGER = [
    "images",
    "mismatched_logits",
    "mismatched_vs_float64",
    "float32_top1_disagreement",
    "top1",
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
        return float_digest(self.config(), _text(self.summary.get("precision")))

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


def overview(records: list[Record]) -> pd.DataFrame:
    """One row a run: the summary's fields, flat, and what the page asks about them.

    `bits` is nan where widths were chosen layer by layer (by the ILP, say): such a run belongs to
    no width, and `mean_bits` says how many bits a weight has.

    Beside the summary: `weight`, `activation` (quantizers), `images` ... (integer check),
    `integer_passed` (True, False, or None where the run was not deployed), `seconds` in total,
    `configuration`, equal for runs that differ only in their seed, `float_network`, equal for runs
    whose baselines do, and `held_out` training images.
    """
    return pd.DataFrame([_row(record) for record in records], columns=COLUMNS)


def _row(record: Record) -> dict[str, Any]:
    summary, config = record.summary, record.config()
    integer = _mapping(summary, "integer")
    quantizer, epochs = _mapping(summary, "quantizer"), _mapping(summary, "epochs")
    if not summary:
        summary = _chosen(config)
    row: dict[str, Any] = {key: _text(summary.get(key)) for key in TEXTS}
    row |= {key: _number(summary.get(key)) for key in NUMBERS}
    row |= {f"integer_{key}": _number(integer.get(key)) for key in INTEGER}
    row |= {f"epochs_{key}": _number(epochs.get(key)) for key in ("baseline", "quantize")}
    row |= {key: _quantizer(quantizer, key) for key in ("weight", "activation")}
    row |= {key: _text(summary.get(key)) for key in ("schedule", "allocation")}
    row |= {"name": record.name, "status": record.status}
    row["bits"] = nan if mixed(row["allocation"]) else row["bits"]
    row["engines"] = _engines(integer.get("engines"))
    row["integer_passed"] = integer_passed(integer)
    row["seconds"] = _total(_mapping(summary, "seconds"))
    row["configuration"] = configuration(config, record.name) if config else record.name
    row["float_network"] = float_digest(config, _text(summary.get("precision")))
    held_out = re.search(r"^  holdout: (\d+)", config, re.MULTILINE)
    row["held_out"] = _number(held_out[1]) if held_out else 0.0
    return row


def mixed(allocation: str) -> bool:
    """Whether widths were chosen layer by layer, and not as one number for all.

    >>> mixed("Cbc"), mixed("dyadic.allocation.Fixed"), mixed("")
    (True, False, False)
    """
    return allocation.rsplit(".", 1)[-1].lower() not in ("", "fixed")


COLUMNS = [
    *TEXTS,
    *NUMBERS,
    *(f"integer_{key}" for key in INTEGER),
    *[
        "epochs_baseline",
        "epochs_quantize",
        "weight",
        "activation",
        "schedule",
        "allocation",
        "engines",
    ],
    *["integer_passed", "seconds", "configuration", "float_network", "held_out"],
]


def integer_passed(integer: dict[str, Any]) -> bool | None:
    """Whether every engine agreed on every logit, with each other and with float64."""
    keys = ("mismatched_logits", "mismatched_vs_float64")
    counts = [integer[key] for key in keys if isinstance(integer.get(key), int | float)]
    return not any(counts) if counts else None


def _chosen(config: str) -> dict[str, Any]:
    """What a configuration says of a run that has no summary yet."""
    try:
        choices = yaml.safe_load(config)
    except yaml.YAMLError:
        return {}
    if not isinstance(choices, dict):
        return {}
    named = {key: choices.get(key) for key in ("dataset", "model", "method")}
    named = {key: v.get("name") if isinstance(v, dict) else v for key, v in named.items()}
    return named | {key: choices.get(key) for key in ("bits", "seed")}


def _mapping(summary: dict[str, Any], key: str) -> dict[str, Any]:
    value = summary.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _quantizer(quantizer: dict[str, Any], part: str) -> str:
    """The quantizer's name; `float` where the record says that there is none."""
    return "float" if part in quantizer and quantizer[part] is None else _text(quantizer.get(part))


def _engines(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else _text(value)


def _total(seconds: dict[str, Any]) -> float:
    return float(np.nansum([_number(value) for value in seconds.values()]))
