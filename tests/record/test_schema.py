"""The schema names what a run writes, and the writer is held to it."""

import csv
import json

import pytest
from tests.runs import configuration

from dyadic.commands.build import run
from dyadic.record import schema


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    cfg = configuration(results, "method=log2")
    return results / "runs" / run(cfg)["name"]


def test_a_run_writes_what_the_schema_names(folder):
    summary = json.loads((folder / schema.SUMMARY).read_text())
    assert summary.keys() == schema.SUMMARY_KEYS.keys()
    assert summary["schema_version"] == schema.VERSION
    assert folder.name.endswith(summary["identity"]["run"])
    for key, kind in schema.SUMMARY_KEYS.items():
        accepted = (int, float) if kind is float else kind
        assert summary[key] is None or isinstance(summary[key], accepted), key
    with (folder / schema.LAYERS).open() as file:
        assert next(csv.reader(file)) == list(schema.LAYER_COLUMNS)
    assert (folder / schema.HISTOGRAMS).exists()
    assert (folder / schema.CONFIG).exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s.pop("top1"), "top1"),
        (lambda s: s.update(extra=1), "extra"),
        (lambda s: s["seconds"].pop("integer"), "integer"),
    ],
)
def test_a_summary_that_readers_would_not_understand_is_not_written(folder, change, named):
    summary = json.loads((folder / schema.SUMMARY).read_text())
    change(summary)
    with pytest.raises(KeyError, match=named):
        schema.checked(summary)
