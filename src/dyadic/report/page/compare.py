"""What the page needs to lay runs over one another: curves, layers, histograms, configurations."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dyadic.record.read import Record, all_layers, histories
from dyadic.report.charts.charts import epoch_table, panels, short_names
from dyadic.report.charts.drawing import RUNS, declaration
from dyadic.report.data.runs import flat

SAME = ["name", "results_dir", "data_dir", "force", "resume"]
"""Choices that say nothing about a run."""

OVERLAID = ["sqnr_db", "weight_bits"]
"""Of `PANELS`, those that an overlay has."""


def comparisons(records: Sequence[Record], bins: Mapping[str, int]) -> dict[str, Any]:
    """The declarations and tables of an overlay; bins: each run's histograms among the charts."""
    layers = all_layers(records).reindex(columns=["run", "layer", *OVERLAID])
    short = [short_names(own.layer) for _, own in layers.groupby("run", sort=False)]
    layers["layer"] = [name for names in short for name in names]
    declared = {name: declaration(name) for name in ("training", "histograms")}
    declared["layers"] = panels(OVERLAID)
    tables = {"epochs": epoch_table(histories(records)), "layers": layers}
    return (
        {"declared": declared, "hues": RUNS, "bins": bins} | tables | {"config": _varying(records)}
    )


def _varying(records: Sequence[Record]) -> pd.DataFrame:
    """The choices in which runs differ, a row a run."""
    texts = [{key: str(v) for key, v in flat(record.choices).items()} for record in records]
    table = pd.DataFrame(texts).drop(columns=SAME, errors="ignore").fillna("")
    varying = table.loc[:, table.nunique() > 1].sort_index(axis=1)
    return varying.assign(run=[record.name for record in records])
