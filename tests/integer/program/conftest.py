"""A saved program."""

from pathlib import Path

import pytest
from tests.integer.program.saved import sample

from dyadic.integer.program.files import save


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A program with every kind of field: two planes, thresholds, pools, residuals."""
    save(sample(), tmp_path)
    return tmp_path
