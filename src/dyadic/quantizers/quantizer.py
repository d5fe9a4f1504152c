"""What every quantizer is: it chooses a codebook for a tensor, and passes gradients through."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.straight_through import StraightThrough, identity


class Quantizer(nn.Module, ABC):
    """Chooses a `Codebook` for a tensor; as a module it is the fake quantization of that tensor.

    bits   width of a code as stored
    signed whether negative values are represented (weights and pre-ReLU activations)
    ste    what the backward pass does with the gradient (`dyadic.quantizers.straight_through`)

    Weights: `codebook(w)` fits the scale to w at every call. Activations with static ranges:
    `observe(x)` keeps running statistics in buffers and `codebook()` reads them.
    """

    def __init__(self, bits: int, signed: bool = True, ste: StraightThrough = identity) -> None:
        super().__init__()
        self.bits, self.signed, self.ste = bits, signed, ste

    def observe(self, x: Tensor) -> None:
        """Update the range statistics with the tensor x; nothing to do for a fitted scale."""

    @abstractmethod
    def codebook(self, x: Tensor | None = None) -> Codebook:
        """The codebook for x, or from the statistics where the range is static."""

    def forward(self, x: Tensor) -> Tensor:
        """x on the codebook's values, with the straight-through gradient of `ste`."""
        with torch.no_grad():
            book = self.codebook(x.detach())
            value = book(x.detach())
        return self.ste(x, value, book)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, signed={self.signed}"
