"""Quantized weights: the effective weight is assembled from a free and a frozen part.

    w_effective = where(mask, frozen, (1 - blend) * w + blend * Q(w))

Frozen values live in a buffer of their own, so no optimizer, momentum or weight decay can move them
(the remedy that works for every optimizer; a gradient mask alone does not). `blend` is 1 for plain
quantization-aware training, 0 while the free weights stay float (INQ), and theta = lambda /
(1 + lambda) in BinaryRelax's first phase (Eq. 3).
"""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.straight_through import identity


class WeightQuantization(nn.Module):
    """Parametrization of a layer's weight (`torch.nn.utils.parametrize`) by a quantizer.

    mask   bool, shaped like the weight: True where the weight is frozen; None until `allocate`
    frozen values of the frozen weights
    blend  share of the quantized weight in the free part, 0 to 1
    reference   the weights that the codebook was fitted to, where it must stay as it is while
                they change (INQ fixes n1 at the first step); None: fitted to the current weights
    saturations frozen weights that had grown out of the codebook's reach
    """

    mask: Tensor | None
    frozen: Tensor | None
    reference: Tensor | None
    saturations: Tensor | None

    def __init__(self, quantizer: Quantizer) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.blend = 1.0
        self.register_buffer("mask", None)
        self.register_buffer("frozen", None)
        self.register_buffer("reference", None)
        self.register_buffer("saturations", None)

    def allocate(self, w: Tensor) -> None:
        """Make room for frozen weights: nothing is frozen yet."""
        self.mask = torch.zeros_like(w, dtype=torch.bool)
        self.frozen = torch.zeros_like(w)
        self.reference = w.detach().clone()
        self.saturations = torch.zeros((), dtype=torch.int64, device=w.device)

    @torch.no_grad()
    def freeze(self, mask: Tensor, values: Tensor) -> None:
        """Freeze the weights of `mask` at `values`; all other weights are free.

        Both are laid out in memory as the weight is, or every convolution would reorder it.
        """
        if self.mask is None or self.frozen is None:
            self.allocate(values)
        assert self.mask is not None
        assert self.frozen is not None
        self.mask.copy_(mask)
        self.frozen.copy_(values.masked_fill(~mask, 0.0))

    def forward(self, w: Tensor) -> Tensor:
        free = self._free(w)
        if self.mask is None or self.frozen is None:
            return free
        return torch.where(self.mask, self.frozen, free)

    def _free(self, w: Tensor) -> Tensor:
        if self.blend == 0.0:
            return w
        if self.blend == 1.0:
            return self.quantizer(w)
        with torch.no_grad():
            book = self.quantizer.codebook(w)
            value = torch.lerp(w, book(w), self.blend)
        return identity(w, value, book)

    def codebook(self, w: Tensor) -> Codebook:
        """The codebook that holds the effective weights once everything is quantized."""
        return self.quantizer.codebook(w.detach() if self.reference is None else self.reference)

    @property
    def quantized_share(self) -> float:
        """Share of the weights that are on the codebook: 1 if blended fully, else the frozen."""
        if self.blend == 1.0:
            return 1.0
        return 0.0 if self.mask is None else self.mask.float().mean().item()


def quantize_weight(layer: nn.Conv2d | nn.Linear, quantizer: Quantizer) -> WeightQuantization:
    """Give a layer's weight a quantizer; returns the parametrization."""
    weights = WeightQuantization(quantizer)
    parametrize.register_parametrization(layer, "weight", weights)
    return weights


def weight_quantization(layer: nn.Module) -> WeightQuantization | None:
    """The layer's weight parametrization, None where its weight is float."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    return layer.parametrizations.weight[0]  # type: ignore[union-attr,index]


def latent_weight(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """The float weight that the optimizer updates (the shadow copy)."""
    if parametrize.is_parametrized(layer, "weight"):
        return layer.parametrizations.weight.original  # type: ignore[union-attr,return-value]
    return layer.weight
