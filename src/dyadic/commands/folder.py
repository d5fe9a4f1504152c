"""The folder of a run: inside the results, and of the choices that are asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from dyadic.errors import UserError
from dyadic.record.config import parse_config, read_config
from dyadic.record.identity import WATCHING, run_digest
from dyadic.record.moved import today
from dyadic.record.schema import CONFIG, SUMMARY

LONGEST = 200  # characters; a file system allows 255 bytes


def folder_name(name: Any) -> str:
    """The name, if one folder can have it; UserError for a path, or what a shell would misread.

    >>> folder_name("mine")
    'mine'
    >>> folder_name("../../x")
    Traceback (most recent call last):
    dyadic.errors.UserError: name='../../x'; a run's name is one folder's: no slash, no leading dot
    """
    text = str(name)
    if not text.isprintable() or text[:1] in ("", ".", "-", "~") or set(text) & set('/\\:*?"<>|'):
        raise UserError(f"name={text!r}; a run's name is one folder's: no slash, no leading dot")
    if len(text) > LONGEST:
        raise UserError(f"name has {len(text)} characters; {LONGEST} are the most")
    return text


def records_in(trial: bool) -> str:
    """The folder of the results that holds the records of runs, or those of trials."""
    return "trials" if trial else "runs"


def run_folder(cfg: DictConfig) -> Path:
    """Where this run is, or will be.

    Raises UserError where a run with other choices is there already, unless `force` replaces it; a
    trial always does.
    """
    directory = Path(cfg.results_dir, records_in(cfg.trial), folder_name(cfg.name))
    if not (cfg.force or cfg.trial) and (difference := _difference(directory, cfg)):
        raise UserError(
            f"{directory} holds another run: {difference}; choose another name, or force=true"
        )
    return directory


def _difference(directory: Path, cfg: DictConfig) -> str:
    """The first choice in which the run on disk is another one; "" where it is the same."""
    config = directory / CONFIG
    if not config.exists():
        finished = (directory / SUMMARY).exists()
        return f"it has no {CONFIG}" if finished else ""
    asked, found = parse_config(OmegaConf.to_yaml(cfg, resolve=True), config), read_config(config)
    if run_digest(asked) == run_digest(found):
        return ""
    here, there = dict(_choices(asked)), dict(_choices(found))
    differ = (key for key in sorted(here.keys() | there.keys()) if here.get(key) != there.get(key))
    return next((f"{key}={there.get(key)}, not {here.get(key)}" for key in differ), "")


def _choices(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every choice that counts, by its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            if path or key not in WATCHING:
                yield from _choices(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, today(str(value)) if path.endswith("_target_") else value
