"""CNN arithmetic as shifts and integers: the papers of quantization, side by side.

The library's door. Everything is loaded when it is first asked for, so that importing the package
costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dyadic.errors import UserError

if TYPE_CHECKING:
    from dyadic.api import Program, check, load, lower, quantize
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
    "quantize",
]
_API = ("Program", "check", "load", "lower", "quantize")


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module("dyadic.api" if name in _API else "dyadic.quantizers")
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
