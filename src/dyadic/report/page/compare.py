"""What the page needs to lay runs over one another: curves, layers, histograms, configurations."""

from collections.abc import Sequence
from typing import Any

from dyadic.record.read import Record, numbers
from dyadic.report.charts import charts
from dyadic.report.charts.drawing import Drawing
from dyadic.report.data.runs import flat

SAME = ("name", "results_dir", "data_dir", "force", "resume")
"""Choices that say nothing about a run."""

COMPARED = {"SQNR_of_the_weights_dB": "sqnr_db", "weight_bits": "weight_bits"}
"""Columns of the overlay's declaration, and those of `layers.csv`."""


def comparisons(records: Sequence[Record], histograms: dict[str, int]) -> dict[str, Any]:
    """By run: epochs, layers, what its configuration has of its own, and its histograms.

    histograms  by run, which of the page's charts they are

    `declared` are the charts' declarations; `keys` the choices in which runs differ, and `values`
    their texts, which each run's `config` numbers.
    """
    keys, values, numbered = _choices(records)
    return {
        "declared": charts.overlays(),
        "keys": keys,
        "values": values,
        "runs": {
            record.name: {
                "config": numbered[record.name],
                "epochs": _epochs(record),
                "layers": _layers(record),
                "bins": histograms.get(record.name),
            }
            for record in records
        },
    }


def _choices(
    records: Sequence[Record],
) -> tuple[list[str], list[str], dict[str, list[int]]]:
    found = {record.name: flat(record.choices) for record in records}
    keys = sorted({key for choices in found.values() for key in choices} - set(SAME))
    texts = {name: [_text(choices, key) for key in keys] for name, choices in found.items()}
    varying = [k for k in range(len(keys)) if len({row[k] for row in texts.values()}) > 1]
    values = sorted({row[k] for row in texts.values() for k in varying})
    index = {text: k for k, text in enumerate(values)}
    numbered = {name: [index[row[k]] for k in varying] for name, row in texts.items()}
    return [keys[k] for k in varying], values, numbered


def _text(choices: dict[str, Any], key: str) -> str:
    return str(choices[key]) if key in choices else ""


def _epochs(record: Record) -> dict[str, list[Any]]:
    history = record.history()
    if history.empty:
        return {}
    table = charts.epoch_table(record.name, history)
    kept = table[["epoch", "top1", "train_loss", "val_loss", "share"]]
    return _plain(kept.dropna(axis=1, how="all"))


def _layers(record: Record) -> dict[str, list[Any]]:
    table = record.layers()
    if "layer" not in table:
        return {}
    short = charts.short_names(list(map(str, table.layer)))
    columns = {to: numbers(table[name]) for to, name in COMPARED.items() if name in table}
    return _plain(table[[]].assign(layer=short, **columns))


def _plain(frame: Any) -> dict[str, list[Any]]:
    return Drawing("", "", {"table": frame}).columns()["table"]
