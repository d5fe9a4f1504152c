"""The command line around a run: its name, its exit code, and what a sweep says at its end.

Only this module and `dyadic.main` know that Hydra exists. Heavy imports stay inside the job, so
that `--help` and `--cfg job` answer at once.
"""

import hashlib
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dyadic.errors import UserError

log = logging.getLogger(__name__)
OUTCOMES = "DYADIC_SWEEP_OUTCOMES"  # the file where the jobs of a sweep say how they ended
# What changes where or how a run is watched, not what it computes.
VOLATILE = ("name", "force", "data_dir", "results_dir", "logger", "hydra", "claim")


def register_run_name() -> None:
    """Let configurations write `${run_name:}`."""
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)


def run_name(*, _root_: DictConfig) -> str:
    """The directory of a run: its main choices in clear and a hash of all others.

    The same choices give the same name, in a sweep or alone, today and tomorrow.
    """
    choices = OmegaConf.to_container(_root_, resolve=False)
    assert isinstance(choices, dict)
    kept = {str(k): v for k, v in choices.items() if k not in VOLATILE}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:6]
    names = (_root_.dataset.name, _root_.model.name, _root_.method.name)
    return "-".join([*map(str, names), f"b{_root_.bits}", f"s{_root_.seed}", digest])


def command(main: Callable[[], Any]) -> None:
    """Call a Hydra main; a sweep ends with one line, and with exit code 1 if a job failed."""
    if not {"-m", "--multirun"} & set(sys.argv):
        return main()
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder, "outcomes")
        os.environ[OUTCOMES] = str(outcomes)
        main()
        lines = outcomes.read_text().splitlines() if outcomes.exists() else []
    failed = [line.split(" ", 1)[1] for line in lines if line.startswith("failed ")]
    print(
        f"{len(lines) - len(failed)} done, {len(failed)} failed"
        + "".join(f"\n  failed: {name}" for name in failed)
    )
    sys.exit(1 if failed else 0)


def job(cfg: DictConfig) -> None:
    """Run one configuration.

    Alone: a UserError is one line and exit code 2. In a sweep: a failure is written to that job's
    own log, counted, and does not stop the others.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        from dyadic.main import run

        run(cfg)
    except Exception as error:
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            if isinstance(error, UserError):
                print(f"error: {error}", file=sys.stderr)
                sys.exit(2)
            raise
        log.error("%s failed: %s", cfg.name, error, exc_info=not isinstance(error, UserError))
        _note(f"failed {cfg.name}: {str(error).splitlines()[0] if str(error) else repr(error)}")
    else:
        _note(f"done {cfg.name}")


def _note(outcome: str) -> None:
    """Append one line; appends of a line are atomic, so jobs in parallel do not mix."""
    if path := os.environ.get(OUTCOMES):
        with Path(path).open("a") as file:
            file.write(outcome + "\n")


def _terminate(number: int, frame: FrameType | None) -> None:
    """Lightning would end a terminated training with exit code 0; the caller must see 143."""
    raise SystemExit(128 + number)
