"""The command line around a run: its name, its exit code, and what a sweep says at its end.

Only this module, `dyadic.commands.mistakes` and the commands know that Hydra exists. Heavy
imports stay inside the job, so that `--help` and `--cfg job` answer at once.
"""

import contextlib
import logging
import os
import shlex
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import hydra
from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from dyadic.commands import names
from dyadic.commands.endings import INTERRUPTED, quiet_pipe
from dyadic.commands.folder import run_folder
from dyadic.commands.mistakes import one_line
from dyadic.commands.parts import plain
from dyadic.errors import UserError, first_line
from dyadic.record.files import write_text
from dyadic.record.identity import WATCHING, run_digest
from dyadic.record.places import CONF
from dyadic.record.schema import ERROR
from dyadic.record.show import finished, print_finished

log = logging.getLogger(__name__)
OUTCOMES = "DYADIC_SWEEP_OUTCOMES"  # the folder where the jobs of a sweep say how they ended
LOCK = "alive"
WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR", "").lower() not in ("", "0", "false", "no")


def main() -> None:
    """`python run.py` and `dyadic-run`: one run; with `-m`, a sweep."""
    # Threads that wait must not spin for long: a second process on the machine would slow both many
    # times over. Some microseconds, between two operations, save a fifth of a training step.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    # W&B's greeting and farewell are not the result (WANDB_SILENT=false shows them).
    os.environ.setdefault("WANDB_SILENT", "true")
    register_run_name()
    run_main(hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job))


def register_run_name() -> None:
    """Let configurations write `${run_name:}`, and what `dyadic.commands.names` has."""
    names.register()
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)


def composed(choices: Sequence[str]) -> DictConfig:
    """The configuration of a run with these choices."""
    register_run_name()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("config", list(choices))


def run_name(*, _root_: DictConfig) -> str:
    """The directory of a run: its main choices in clear and a hash of all others.

    The same choices give the same name, in a sweep or alone, today and tomorrow.
    """
    choices = {str(key): plain(_root_[key]) for key in _root_ if key not in WATCHING}
    main = (_root_.dataset.name, _root_.model.name, _root_.method.name)
    return "-".join([*map(str, main), f"b{_root_.bits}", f"s{_root_.seed}", run_digest(choices)])


class Outcomes(Callback):
    """Makes room, when a sweep starts, for what its jobs say at their ends (`hydra.callbacks`).

    A folder beside the results: the one place that jobs on other machines see too.
    """

    alive: ClassVar[FileLock]  # until this process ends; not an instance's: launchers pickle those

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if not _is_first(config):
            return
        results = Path(config.results_dir).absolute()
        results.mkdir(parents=True, exist_ok=True)
        for left in results.glob(".sweep-*"):
            _clear_if_dead(left)
        os.environ[OUTCOMES] = tempfile.mkdtemp(prefix=".sweep-", dir=results)
        Outcomes.alive = FileLock(Path(os.environ[OUTCOMES], LOCK))
        Outcomes.alive.acquire()


def _clear_if_dead(outcomes: Path) -> None:
    """Remove the folder of a sweep that was killed; one that goes on holds its lock."""
    with contextlib.suppress(OSError, Timeout), FileLock(outcomes / LOCK, blocking=False):
        shutil.rmtree(outcomes, ignore_errors=True)


def run_main(main: Callable[[], Any]) -> None:
    """Call a Hydra main; a sweep ends with one line, and with exit code 1 if a job failed.

    A terminated sweep takes its worker processes with it. A mistake in the choices is one line and
    exit code 2; HYDRA_FULL_ERROR=1 shows its traceback. Ctrl-C is one line and exit code 130.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    os.environ.pop(OUTCOMES, None)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # otherwise Hydra prints errors itself, on many lines
    with quiet_pipe():
        try:
            main()
            if OUTCOMES in os.environ:
                sys.exit(_count(Path(os.environ[OUTCOMES])))
        except Exception as error:
            _complain(error)
            raise
        except SystemExit as end:
            if end.code == INTERRUPTED:
                again = shlex.join(["python", *sys.argv])
                print(f"interrupted; this goes on from the last epoch: {again}", file=sys.stderr)
            raise
        finally:
            shutil.rmtree(os.environ.pop(OUTCOMES, ""), ignore_errors=True)


def _count(outcomes: Path) -> int:
    """Print how many jobs are done and which failed; returns the exit code."""
    jobs = (path for path in outcomes.iterdir() if path.name != LOCK)
    lines = [path.read_text() for path in sorted(jobs, key=lambda job: int(job.name))]
    failed = [line.split(" ", 1)[1] for line in lines if line.startswith("failed ")]
    print(
        f"{len(lines) - len(failed)} done, {len(failed)} failed"
        + "".join(f"\n  failed: {name}" for name in failed)
    )
    return 1 if failed else 0


def job(cfg: DictConfig) -> None:
    """Run one configuration.

    Alone: a mistake in the choices is one line and exit code 2. In a sweep: a failure is written to
    that job's own log, counted, and does not stop the others.
    """
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:  # submitit has a handler of its own
        signal.signal(signal.SIGTERM, _stop)
    try:
        _check_devices(cfg)
        directory = run_folder(cfg)
        with _reason_kept(directory, _is_first(cfg)):
            _run(cfg, directory)
    except BrokenPipeError:
        raise
    except Exception as error:
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            _complain(error)
            raise
        log.error("%s failed: %s", cfg.name, error, exc_info=not isinstance(error, UserError))
        _note(f"failed {cfg.name}: {_reason(error)}", cfg)
    else:
        _note(f"done {cfg.name}", cfg)


def _run(cfg: DictConfig, directory: Path) -> None:
    found = None if cfg.force or cfg.trial else finished(directory)
    if found is None:
        from dyadic.commands.build import run

        run(cfg)
    elif _is_first(cfg):
        print_finished(found, directory)


@contextlib.contextmanager
def _reason_kept(directory: Path, first: bool) -> Iterator[None]:
    """Leave why a run failed in its `ERROR`, and nothing where it went well."""
    path = directory / ERROR
    try:
        yield
    except BrokenPipeError:
        raise
    except Exception as error:
        if first:
            line = one_line(error)
            text = line or "\n".join([_reason(error), "", *traceback.format_exception(error)])
            with contextlib.suppress(OSError):  # a full disk: then the terminal alone says it
                write_text(path, f"{text}\n")
        raise
    if first:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    return one_line(error) or first_line(error)


def _complain(error: Exception) -> None:
    """One line and exit code 2 for a mistake in the choices; nothing for an error of ours."""
    line = None if WANTS_TRACEBACK else one_line(error)
    if line is not None:
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)


def _check_devices(cfg: DictConfig) -> None:
    """Further processes of a run start from its command line, which a launcher's worker lacks."""
    launcher = HydraConfig.get().launcher["_target_"].rsplit(".", 1)[-1]
    if cfg.trainer.hardware.devices > 1 and launcher in ("JoblibLauncher", "LocalLauncher"):
        raise UserError(
            f"trainer.hardware.devices={cfg.trainer.hardware.devices} in a {launcher}; "
            "use one device a run, or hydra/launcher=basic or submitit_slurm"
        )


def _note(outcome: str, cfg: DictConfig) -> None:
    """Leave the outcome in a file of this job's own, where the sweep will look for it."""
    if OUTCOMES in os.environ and _is_first(cfg):
        with contextlib.suppress(FileNotFoundError):  # the sweep was killed, this job went on
            Path(os.environ[OUTCOMES], str(HydraConfig.get().job.num)).write_text(outcome)


def _is_first(cfg: DictConfig) -> bool:
    """Not a further process of a run on several devices, by Lightning's rule.

    On one device there is none, whatever a queue or a shell has left in the environment.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    first = next((rank for rank in ranks if rank is not None), "0") == "0"
    return first or cfg.trainer.hardware.devices == 1


def _stop(number: int, frame: FrameType | None) -> None:
    """Lightning would end a stopped training with 0 or 1; the caller must see 143 or 130."""
    raise SystemExit(128 + number)
