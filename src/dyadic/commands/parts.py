"""The parts of a run, built from their configuration."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from dyadic.errors import UserError
from dyadic.record.moved import today


def part(config: Any, path: str = "", **more: Any) -> Any:
    """`hydra.utils.instantiate`, whose long errors become one line with the reason.

    path  of this part in the configuration: errors then name choices and not arguments

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
            raise UserError(as_choices(str(cause), config, path)) from None
        if isinstance(cause, TypeError | ValueError | ImportError | AttributeError):
            raise UserError(f"{path or config['_target_']}: {cause}") from error
        raise


def as_choices(message: str, config: Any, path: str) -> str:
    """A message that names arguments, with the choices that these are on the command line.

    >>> as_choices("epochs=0, after=-1; use more", {"epochs": 0, "after": -1}, "schedule")
    'schedule.epochs=0, schedule.after=-1; use more'
    """
    places = dict(_places(config, path)) if path else {}
    return re.sub(r"(?<![\w.])(\w+)=", lambda found: places.get(found[1], found[1]) + "=", message)


def _places(config: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every key with its path; of equal keys the least deep comes last, and counts."""
    if isinstance(config, Mapping):
        for key, inner in config.items():
            yield from _places(inner, f"{path}.{key}")
        yield from ((str(key), f"{path}.{key}") for key in config)


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
