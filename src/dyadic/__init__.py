"""CNN arithmetic as shifts and integers: the papers of quantization, side by side.

The library's door. Everything is loaded when it is first asked for, so that importing the package
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dyadic.errors import UserError

if TYPE_CHECKING:
    from dyadic import allocation as allocation
    from dyadic import data as data
    from dyadic import models as models
    from dyadic.api import Program, check, load, lower, lowered, quantize
    from dyadic.quantizers import (
        Binary,
        FixedPoint,
        HalfWave,
        Lloyd,
        Logarithmic,
        Lsq,
        Pact,
        PowerOfTwo,
        Quantizer,
        RoundedHalfWave,
        SparseHalfWave,
        Ternary,
        Uniform,
    )
    from dyadic.report import charts as charts

__version__ = "0.2.0"
__all__ = [
    "Binary",
    "FixedPoint",
    "HalfWave",
    "Lloyd",
    "Logarithmic",
    "Lsq",
    "Pact",
    "PowerOfTwo",
    "Program",
    "Quantizer",
    "RoundedHalfWave",
    "SparseHalfWave",
    "Ternary",
    "Uniform",
    "UserError",
    "check",
    "load",
    "lower",
    "lowered",
    "quantize",
]
_API = ("Program", "check", "load", "lower", "lowered", "quantize")
_MODULES = {name: f"dyadic.{name}" for name in ("allocation", "data", "models")}
_MODULES["charts"] = "dyadic.report.charts"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name])
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module("dyadic.api" if name in _API else "dyadic.quantizers")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, *_MODULES, "__version__"]
