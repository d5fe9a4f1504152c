"""The `config.yaml` of a record, which may be a stranger's: plain values, or one line."""

import re
from pathlib import Path
from typing import Any

import yaml

from dyadic.errors import UserError, first_line

MOST_BYTES = 2**20  # a run writes some kilobytes
REMEDY = "force=true runs it again"


class _Plain(yaml.SafeLoader):
    """YAML without aliases: a few lines of them stand for more values than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias")
        return super().compose_node(parent, index)


_Plain.add_implicit_resolver(  # as OmegaConf writes and reads numbers: 1e-05 is one
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def read_config(path: Path) -> dict[str, Any]:
    """The choices of a run as it wrote them, every value plain.

    Raises UserError where the file is no YAML mapping, above 1 MiB, or holds aliases or
    interpolations (a run writes neither).
    """
    with path.open("rb") as file:
        return parse_config(file.read(MOST_BYTES + 1), path)


def parse_config(content: str | bytes, path: Path) -> dict[str, Any]:
    """As `read_config`, of what `path` holds."""
    try:
        if len(content) > MOST_BYTES:
            raise yaml.YAMLError("it is too long")
        choices = yaml.load(content, _Plain)
        _refuse_interpolations(choices)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({first_line(error)}); {REMEDY}") from None
    if not isinstance(choices, dict):
        raise UserError(f"{path} is damaged (it holds no choices); {REMEDY}")
    return choices


def _refuse_interpolations(value: Any) -> None:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for one in value:
            _refuse_interpolations(one)
    elif isinstance(value, str) and "${" in value:
        raise yaml.YAMLError("it has an interpolation")
