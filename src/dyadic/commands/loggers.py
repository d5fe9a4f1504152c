"""The logger of a run, and what Lightning's own log need not say."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from pytorch_lightning.loggers import WandbLogger

from dyadic.commands.parts import part
from dyadic.errors import UserError, first_line
from dyadic.run.tracker import Guarded

log = logging.getLogger(__name__)
NO_NEWS = ("litlogger", "litmodels", "available: ", "Automatic Mixed", "`Trainer.fit` stop")


@contextlib.contextmanager
def connected(cfg: DictConfig, directory: Path) -> Iterator[list[Guarded]]:
    """The experiment logger, closed whatever happens; it cannot stop a run that has begun."""
    logger = None if cfg.logger is None else _logger(cfg, directory)
    if logger is None:
        yield []
        return
    status = "failed"
    try:
        yield [logger]
        status = "success"
    finally:
        logger.finalize(status)
        logger.close()


def _logger(cfg: DictConfig, directory: Path) -> Guarded | None:
    """The logger, connected; None, with a line, where it is not installed.

    Raises UserError where it cannot be used, as without a login.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        os.environ.pop("WANDB_RUN_ID", None)  # of one run: the jobs of a sweep are many
    try:
        logger = part(cfg.logger)(name=cfg.name, save_dir=directory)
        if isinstance(logger, WandbLogger):  # WANDB_SILENT counts from here on, not from its run on
            import_module("wandb").setup()
        logger.experiment  # noqa: B018 - connects
    except ModuleNotFoundError:
        tracker = cfg.logger._target_.rpartition(".")[2].removesuffix("Logger").lower()
        log.warning("%s is not installed: no log beside the record; logger=none says so", tracker)
        return None
    except OSError:
        raise
    except Exception as error:
        reason = first_line(error).rstrip(".")
        raise UserError(f"{cfg.logger['_target_']}: {reason}; logger=none needs nothing") from error
    return Guarded(logger)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a line of Lightning's log says something of this run."""
    return not any(words in record.getMessage() for words in NO_NEWS)


def quiet_lightning() -> None:
    """Advice for other products, and what the record says, is not news about this run."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").addFilter(is_news)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's, under torch 2.15
    warnings.filterwarnings("ignore", message=".*in eval mode.*")  # a distillation's teacher
