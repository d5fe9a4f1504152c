"""What every test starts from: one thread, a known seed, its own working folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from dyadic.integer.engines.compiled import engine
from dyadic.integer.engines.compiled.sets import SETS

# xdist's workers share the cores; a second thread each would only spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)
# How long an example takes depends on what else runs on the machine.
settings.register_profile("dyadic", deadline=None)
settings.load_profile("dyadic")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test writes by a relative path lands in its own temporary folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True, scope="session")
def _same_prices() -> Iterator[None]:
    """Algorithms are chosen by the same prices on every machine, however busy.

    For the session: fixtures of a module open engines before those of a test begin.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "prices_of", lambda path: SETS[path].prices)
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The repository's root, where `conf/` and `run.py` are."""
    return Path(__file__).resolve().parents[1]
