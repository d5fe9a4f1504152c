"""A network of the user's own: any callable that returns an `nn.Module`."""

import importlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from torch import nn

from dyadic.errors import UserError

FORM = "factory is module:callable, such as mynet:Net"


def own(
    classes: int,
    channels: int,
    factory: str,
    arguments: Mapping[str, Any] | None = None,
    source: str = "",
) -> nn.Module:
    """The network that `factory` makes of `arguments`; it takes normalized floats.

    factory  "module:callable"; the current directory is searched first
    source   digest of its source, for whoever names or compares runs; nothing is done with it

    Whether it gives `classes` values and takes `channels` is checked where the images are known.
    Raises UserError with the cause and its place where the factory fails.
    """
    make = _callable(factory)
    try:
        model = make(**(arguments or {}))
    except Exception as error:
        raise UserError(f"{factory} failed: {cause(error)}") from error
    if not isinstance(model, nn.Module):
        raise UserError(f"{factory} returns {type(model).__name__}; it must return an nn.Module")
    return model


def _callable(factory: str) -> Callable[..., Any]:
    module, colon, name = factory.partition(":")
    if not (module and colon and name):
        raise UserError(f"factory={factory}; {FORM}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]:
            raise UserError(f"factory={factory}; there is no {module} in {here}; {FORM}") from None
        raise UserError(f"{factory}: {module} cannot be imported: {cause(error)}") from error
    try:
        found = attrgetter(name)(found)
    except AttributeError:
        raise UserError(f"factory={factory}; {module} has no {name}") from None
    if not callable(found):
        raise UserError(f"factory={factory}; {name} is {type(found).__name__}, not a callable")
    return found


def cause(error: BaseException) -> str:
    """What an error is, in one line, and where it was raised."""
    text = f"{type(error).__name__}: {error}".splitlines()[0]
    if isinstance(error, SyntaxError):  # which names its own place
        return text
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
    frames = [f for f in frames if not f.filename.startswith("<")]
    if not frames:
        return text
    return f"{text} ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})"
