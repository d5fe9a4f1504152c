"""Which width a run competes at."""

import json
from pathlib import Path

import pytest
import yaml

from dyadic.record.read import read_records
from dyadic.report.data.runs import overview


@pytest.mark.parametrize(
    ("weight", "bits", "allocated", "expected"),
    [
        ("Binary", 2, 1, 1),  # HWGQ counts the bits of its activations
        ("PowerOfTwo", 3, 3, 3),
        (None, 4, None, 4),  # activations alone
    ],
)
def test_bits_are_the_weights_or_those_of_activations_beside_float_ones(
    tmp_path: Path, weight: str | None, bits: int, allocated: int | None, expected: int
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    config = {"method": {"name": "m"}, "bits": bits, "allocation": {"bits": allocated}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    summary = {"status": "done", "bits": bits, "quantizer": {"weight": weight, "activation": "A"}}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert overview(read_records(tmp_path)).bits.tolist() == [expected]
