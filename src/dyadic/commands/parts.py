"""The parts of a run, built from their configuration."""

from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from dyadic.errors import UserError
from dyadic.record.moved import today


def part(config: Any, **more: Any) -> Any:
    """`hydra.utils.instantiate`, whose long errors become one line with the reason.

    Names of earlier versions are understood; None stays None.
    """
    if config is None:
        return None
    config = plain(config)
    try:
        return instantiate(_today(config), **more)
    except Exception as error:
        cause: BaseException = error
        while not isinstance(cause, UserError) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(cause, TypeError | ValueError | ImportError | AttributeError):
            raise UserError(f"{config['_target_']}: {cause}") from error
        raise


def plain(node: Any) -> Any:
    """A part of a configuration as plain values, references resolved; `???` stays."""
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _today(value: Any) -> Any:
    """The same configuration with every `_target_` by today's name."""
    if isinstance(value, list):
        return [_today(one) for one in value]
    if isinstance(value, dict):
        return {k: today(v) if k == "_target_" else _today(v) for k, v in value.items()}
    return value
