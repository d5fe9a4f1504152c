"""Every quantizer of the package, found by walking the subclasses, at every width it takes."""

import inspect
from collections.abc import Iterator
from functools import partial

import torch
from hypothesis import strategies as st
from torch import Tensor

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
    Stochastic,
    Ternary,
    Uniform,
)
from dyadic.quantizers.calibration import entropy, mse, percentile
from dyadic.quantizers.rounding import ceil, floor, half_up

# One scale for all, so that a codebook's values are a plain list.
WHOLE: dict[type[Quantizer], dict[str, object]] = {Binary: {"granularity": "per_tensor"}}
VARIANTS: dict[type[Quantizer], list[dict[str, object]]] = {
    Uniform: [
        {"narrow": False},
        {"symmetric": False},
        {"rounding": half_up},
        {"rounding": floor},
        {"rounding": ceil},
        {"rounding": Stochastic()},
        {"calibration": partial(percentile, share=90.0)},
        {"calibration": mse},
        {"calibration": entropy},
    ],
    PowerOfTwo: [{"n1": "mse"}, {"zero_cut": "full"}],
    Logarithmic: [
        {"base": "sqrt2"},
        {"rounding": "floor"},
        {"base": "sqrt2", "rounding": "floor"},
        {"sign": "extra"},
        {"fsr": "mse", "base": "sqrt2"},
        {"offset": -1},
    ],
    Ternary: [{"rule": "twn"}],
    HalfWave: [{"uniform": False}, {"sigma": "unit"}],
    SparseHalfWave: [{"theta": 0.75}],
}


Limits = tuple[int, int]
TAKES: dict[type[Quantizer], dict[bool, Limits]] = {
    Binary: {True: (1, 1)},
    FixedPoint: {True: (2, 16), False: (1, 16)},
    HalfWave: {False: (1, 8)},
    Lloyd: {True: (2, 16)},
    Logarithmic: {True: (2, 8), False: (1, 8)},
    Lsq: {True: (2, 16), False: (1, 16)},
    Pact: {True: (2, 16), False: (1, 16)},
    PowerOfTwo: {True: (2, 8)},
    RoundedHalfWave: {False: (1, 8)},
    SparseHalfWave: {False: (1, 8)},
    Ternary: {True: (2, 2)},
    Uniform: {True: (2, 16), False: (1, 16)},
}
"""Signed or not, to the fewest and the most bits; everything else is refused."""


def quantizer_classes(root: type[Quantizer] = Quantizer) -> Iterator[type[Quantizer]]:
    """The concrete quantizers of the package."""
    for kind in root.__subclasses__():
        if kind.__module__.startswith("dyadic.quantizers.") and not inspect.isabstract(kind):
            yield kind
        yield from quantizer_classes(kind)


def quantizers(widths: tuple[int, ...] = (1, 2, 3, 5, 8)) -> list[Quantizer]:
    """Each class at each width and sign that it takes, and its variants at the fewest and 4."""
    found = []
    for kind in quantizer_classes():
        for signed, (fewest, most) in TAKES[kind].items():
            plain = [(bits, WHOLE.get(kind, {})) for bits in widths if fewest <= bits <= most]
            some = sorted({fewest, min(4, most)})
            varied = [(bits, options) for bits in some for options in VARIANTS.get(kind, [])]
            cases = plain + varied
            found += [kind(bits=bits, signed=signed, **options) for bits, options in cases]
    return found


def label(quantizer: Quantizer) -> str:
    """A readable name for a parametrized test."""
    return f"{type(quantizer).__name__}-{quantizer.bits}{'s' if quantizer.signed else 'u'}"


def fresh(quantizer: Quantizer) -> Quantizer:
    """The quantizer itself, or a new one where the first tensor would be remembered."""
    if isinstance(quantizer, Lsq | Pact):
        return type(quantizer)(bits=quantizer.bits, signed=quantizer.signed)
    return quantizer


def random_tensor(seed: int, size: int, exponent: int, coarse: bool) -> Tensor:
    """Normal values times 2^exponent; coarse ones are multiples of a quarter: ties and zeros."""
    x = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return torch.ldexp((4 * x).round() / 4 if coarse else x, torch.tensor(exponent))


tensors: st.SearchStrategy[Tensor] = st.builds(
    random_tensor,
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 60),
    exponent=st.integers(-12, 4),
    coarse=st.booleans(),
)
