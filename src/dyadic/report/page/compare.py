"""What the page needs to lay runs over one another: curves, layers, histograms, configurations."""

from collections.abc import Sequence
from typing import Any

from dyadic.record.read import Record, numbers
from dyadic.report.charts import charts
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.runs import flat

SAME = ("name", "results_dir", "data_dir", "force", "resume")
"""Choices that say nothing about a run."""

CURVES = ["epoch", "top1", "train_loss", "val_loss", "share"]


def comparisons(records: Sequence[Record], histograms: dict[str, int]) -> dict[str, Any]:
    """By run: epochs, layers, what its configuration has of its own, and its histograms.

    histograms  by run, which of the page's charts they are

    `declared` are the charts' declarations; `keys` the choices in which runs differ, and `values`
    their texts, which each run's `config` numbers.
    """
    found = [flat(record.choices) for record in records]
    keys = sorted({key for choices in found for key in choices} - set(SAME))
    texts = {key: [str(choices.get(key, "")) for choices in found] for key in keys}
    varying = [key for key in keys if len(set(texts[key])) > 1]
    values = sorted({text for key in varying for text in texts[key]})
    index = {text: k for k, text in enumerate(values)}
    runs = {
        record.name: {
            "config": [index[texts[key][k]] for key in varying],
            "epochs": _epochs(record),
            "layers": _layers(record),
            "bins": histograms.get(record.name),
        }
        for k, record in enumerate(records)
    }
    return {"declared": charts.overlays(), "keys": varying, "values": values, "runs": runs}


def _epochs(record: Record) -> dict[str, list[Any]]:
    history = record.history()
    table = charts.epoch_table(record.name, history).filter(CURVES)
    return {} if history.empty else _plain(table.dropna(axis=1, how="all"))


def _layers(record: Record) -> dict[str, list[Any]]:
    table = record.layers()
    if "layer" not in table:
        return {}
    short = charts.short_names(list(map(str, table.layer)))
    found = {to: numbers(table[name]) for to, name in charts.OVERLAID.items() if name in table}
    return _plain(table[[]].assign(layer=short, **{charts.field(k): v for k, v in found.items()}))


def _plain(frame: Any) -> dict[str, list[Any]]:
    return Drawing("", "", {"table": frame}).columns()["table"]
