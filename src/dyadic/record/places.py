"""Places: what the package brings beside its code (in the repository, links to it), and a cache."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

PACKAGE = Path(str(files("dyadic")))
CONF = PACKAGE / "conf"
PUBLISHED = PACKAGE / "published"
SHIPPED = PACKAGE / "shipped"  # the float networks; a wheel has none
CACHE_VARIABLE = "DYADIC_CACHE"


def cache_directory() -> Path:
    """Where things are kept that can be made again: $DYADIC_CACHE, or `dyadic` in the user's cache
    directory; where nothing can be written there, a directory of this process.
    """
    try:
        directory = _wanted_directory()
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except (OSError, RuntimeError):  # RuntimeError: nobody's home
        return _own_directory()


def _wanted_directory() -> Path:
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dyadic"


@cache
def _own_directory() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="dyadic-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory
