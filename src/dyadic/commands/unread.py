"""What a command line adds and nothing reads."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from dyadic.commands.parts import plain
from dyadic.errors import UserError
from dyadic.record.moved import today

READ = {
    "": (
        *("dataset", "model", "start", "quantizer", "schedule", "sensitivity", "allocation"),
        *("distillation", "deploy", "trainer", "logger", "method", "bits", "seed", "epochs"),
        *("trial", "force", "data_dir", "results_dir", "name", "hydra", "claim"),
        *("measure", "points", "random"),  # of `python -m dyadic pareto`
    ),
    "quantizer": ("weight", "activation", "gradient"),
    "trainer": ("hardware", "baseline", "optimizer", "curve", "epoch_share"),
    "method": ("name", "paper", "bits"),
}
"""Keys of the nodes that build nothing themselves."""

OF_THE_GROUP = {"model": ("name",)}
"""Keys that are read beside the arguments of what a node builds."""


def refuse_unread(cfg: DictConfig) -> None:
    """Raise UserError for a key that nothing reads: such a choice would be ignored in silence.

    What another value refers to (`${key}`) is read.
    """
    text = OmegaConf.to_yaml(cfg)
    for node, keys in READ.items():
        found = cfg if not node else cfg.get(node)
        for key in found or ():
            path = f"{node}.{key}" if node else str(key)
            if key not in keys and f"${{{path}" not in text:
                raise UserError(f"{path} is read by nothing; {node or 'a run'} has {_list(keys)}")
    for path, value in _built(plain(cfg)):
        wanted = _arguments(value)
        for key in value:
            if wanted is not None and not (
                str(key).startswith("_") or key in (*wanted, *OF_THE_GROUP.get(path, ()))
            ):
                name = str(value["_target_"]).rpartition(".")[2]
                raise UserError(f"{path}.{key} is read by nothing; {name} takes {_list(wanted)}")


def _built(value: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node that names a callable, with its path."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield path, value
        for key, inner in value.items():
            if key not in ("hydra", "claim"):
                yield from _built(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _built(inner, f"{path}.{number}")


def _arguments(node: Mapping[str, Any]) -> list[str] | None:
    """Names of the arguments that a node's callable takes; None where it takes any."""
    try:
        parameters = inspect.signature(get_object(today(str(node["_target_"])))).parameters
    except Exception:  # building it says what is wrong
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    return list(parameters)


def _list(names: Any) -> str:
    return ", ".join(names) or "no arguments"
