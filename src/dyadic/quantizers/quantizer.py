"""What every quantizer is: it chooses a codebook for a tensor, and passes gradients through."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self, TypedDict

import torch
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.quantizers.codebook import Codebook, widened
from dyadic.quantizers.granularity import granularity_of
from dyadic.quantizers.straight_through import StraightThrough, identity

LARGEST_BITS = 16


class Quantizer(nn.Module, ABC):
    """Chooses a `Codebook` for a tensor; as a module it is the fake quantization of that tensor.

    bits   width of a code as stored
    signed whether negative values are represented (weights and pre-ReLU activations)
    ste    what the backward pass does with the gradient (`dyadic.quantizers.straight_through`)

    Weights: `codebook(w)` fits the scale to w at every call. Activations with static ranges:
    `observe(x)` keeps running statistics in buffers and `codebook()` reads them. Where nothing was
    observed, `codebook(x)` fits.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Keeps the constructor's arguments, for `like`."""
        quantizer = super().__new__(cls)
        vars(quantizer)["made_with"] = (args, options)
        return quantizer

    def __init__(self, bits: int, signed: bool = True, ste: StraightThrough = identity) -> None:
        super().__init__()
        self.bits, self.signed, self.ste = bits, signed, ste

    def like(self, **changed: Any) -> Self:
        """A new quantizer, constructed as this one was but for `changed`; it has seen nothing.

        Raises UserError for what the constructor refuses.
        """
        args, options = vars(self)["made_with"]
        given = inspect.signature(type(self)).bind_partial(*args, **options)
        given.arguments.update(changed)
        return type(self)(*given.args, **given.kwargs)

    def observe(self, x: Tensor) -> None:
        """Update the range statistics with the tensor x; nothing to do for a fitted scale."""

    @abstractmethod
    def codebook(self, x: Tensor | None = None) -> Codebook:
        """The codebook for x, or from the statistics where the range is static."""

    def forward(self, x: Tensor) -> Tensor:
        """Fake quantization: x on the codebook's values, with the gradient of `ste`.

        In float32 at least: half-precision inputs are widened, as they cannot hold the grid.
        """
        x = widened(x)
        with torch.no_grad():
            book = self.codebook(x.detach())
            value = book(x.detach())
        return self.ste(x, value, book)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={self.signed}"


class ScaleOptions(TypedDict, total=False):
    """What every weight quantizer takes beside its granularity and options of its own."""

    group_size: int | None
    ste: StraightThrough


class WeightOptions(ScaleOptions, total=False):
    """The same with `granularity`: per_tensor, per_channel, or per_group or per_block."""

    granularity: str


class WeightQuantizer(Quantizer):
    """A quantizer of weights: every row that shares a scale is fitted on its own.

    Raises UserError where `signed` is False: weights have two signs.
    """

    def __init__(
        self,
        bits: int,
        signed: bool = True,
        granularity: str = "per_tensor",
        group_size: int | None = None,
        ste: StraightThrough = identity,
    ) -> None:
        if not signed:
            raise UserError(f"{type(self).__name__} with signed=False; its weights are signed")
        super().__init__(bits, signed, ste)
        self.granularity = granularity_of(granularity, group_size)

    def codebook(self, x: Tensor | None = None) -> Codebook:
        x = to_fit(self, x)
        rows = self.granularity.rows(x)
        return self.fitted(rows, lambda scale: self.granularity.spread(scale, x.shape))

    @abstractmethod
    def fitted(self, rows: Tensor, spread: Callable[[Tensor], Tensor]) -> Codebook:
        """The codebook of rows [R, n]; `spread` gives statistics [R] the shape of a scale."""


def check_bits(name: str, bits: int, smallest: int, largest: int = LARGEST_BITS) -> None:
    """Raise UserError unless bits is an integer of smallest .. largest."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not smallest <= bits <= largest:
        right = f"{smallest}" if smallest == largest else f"{smallest} to {largest}"
        raise UserError(f"{name} with bits={bits}; it takes {right} bits")


def to_fit(quantizer: Quantizer, x: Tensor | None) -> Tensor:
    """What a codebook is fitted to, widened; UserError where there is nothing."""
    if x is not None:
        return widened(x)
    name = type(quantizer).__name__
    if getattr(quantizer, "dynamic", False):
        raise UserError(
            f"{name} fits its range to every tensor; what needs a fixed one, as integer programs "
            "do, needs dynamic=False"
        )
    raise UserError(f"{name} has seen no tensor yet; calibrate it, or give it a tensor to fit")
