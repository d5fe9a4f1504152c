"""What there is to choose from, read from the configuration files and the docstrings."""

from importlib import import_module
from pathlib import Path

import yaml

from dyadic.record.places import CONF

GROUPS = {
    "methods": "method",
    "weight quantizers": "quantizer/weight",
    "activation quantizers": "quantizer/activation",
    "schedules": "schedule",
    "allocations": "allocation",
    "sensitivities": "sensitivity",
    "models": "model",
    "starts": "start",
    "data sets": "dataset",
}


def catalogue(experiments: Path) -> dict[str, dict[str, str]]:
    """Group to (name to one line): the first line of the docstring, or of the file's comment.

    experiments  the folder of the repository; one that does not exist has none
    """
    found = {title: _lines(CONF / group) for title, group in GROUPS.items()}
    return found | ({"experiments": _lines(experiments)} if experiments.is_dir() else {})


def _lines(folder: Path) -> dict[str, str]:
    return {path.stem: _line(path) for path in sorted(folder.glob("*.yaml"))}


def _line(path: Path) -> str:
    """The first comment of a configuration file; without one, its target's docstring."""
    text = path.read_text()
    for row in text.splitlines():
        if row.startswith("# ") and "@package" not in row:
            return row.removeprefix("# ")
    module, _, name = (yaml.safe_load(text) or {}).get("_target_", "").rpartition(".")
    found = getattr(import_module(module), name) if module else None
    return (getattr(found, "__doc__", "") or "").split("\n", 1)[0]
