"""Errors that are the user's to mend, in one line each."""

import errno
import re

from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from dyadic.errors import UserError, first_line

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
EXTRAS = {"wandb": "wandb", "tensorboard": "tensorboard", "jinja2": "report", "highspy": "highs"}
HINT = "`--cfg job` shows all that can be set"
RESOLVED = "UserError raised while resolving interpolation: "  # by a resolver of ours
MISSING = re.compile(r"Missing mandatory value: (\S+)")
PLACES = "results_dir and data_dir must be folders to read and write"


def one_line(error: BaseException) -> str | None:
    r"""What is wrong and what would be right; None for an error of ours, which needs a traceback.

    What a file has put into the message cannot command the terminal.

    >>> one_line(PermissionError(13, "Permission denied", "/x"))
    '/x: Permission denied; results_dir and data_dir must be folders to read and write'
    >>> print(one_line(UserError("layer \x1b[2J\n; rename it")))
    layer \x1b[2J\n; rename it
    >>> one_line(ZeroDivisionError("division by zero"))
    """
    line = _line(error)
    return None if line is None else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def _line(error: BaseException) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={name}: there is none; there are {', '.join(sorted(error.options))}"
    if isinstance(error, OverrideParseException):
        return f"{error.override} cannot be read: {first_line(error).rstrip('.')}; give NAME=VALUE"
    if isinstance(error, OmegaConfBaseException) and (found := MISSING.search(str(error))):
        return f"no value for {found[1]}; set it on the command line, {found[1]}=..."
    if isinstance(error, OmegaConfBaseException) and str(error).startswith(RESOLVED):
        return first_line(error).removeprefix(RESOLVED)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return f"{first_line(error).rstrip('.')}; {HINT}"
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        extra = EXTRAS[error.name]
        return f"{error.name} is not installed; `pip install 'dyadic[{extra}]'` brings it"
    if isinstance(error, OSError) and error.errno in FULL:
        return f"{error.strerror}; make room where results_dir is"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}; {PLACES}"
    return None
