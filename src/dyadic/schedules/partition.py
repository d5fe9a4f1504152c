"""Growing weight partition (INQ, Zhou et al. 2017, Algorithm 1).

In step n of N, a share sigma_n of each layer's weights is put on the codebook and frozen; the rest
stays float and trains on to make up for the loss. Frozen weights are held by the layer's
`WeightQuantization`, where nothing can move them. The codebook is fitted once, to the weights
before the first step (n1 of the paper).

The partition rules are pure functions: which weights are frozen next.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Generator, Tensor

from dyadic.errors import UserError, check_choice, check_least
from dyadic.network.activations import observe
from dyadic.network.layers import Layer
from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.network.weights import WeightQuantization, latent_weight
from dyadic.schedules.blend import set_blend
from dyadic.schedules.schedule import Phase, Schedule, lasting

# (weights, their values on the codebook, frozen, count, generator) -> mask of `count` weights
Partition = Callable[[Tensor, Tensor, Tensor, int, Generator], Tensor]


def largest_first(w: Tensor, values: Tensor, frozen: Tensor, count: int, _: Generator) -> Tensor:
    """The frozen weights and the largest |w| of the others: the paper's pruning-inspired rule.

    >>> nothing = torch.zeros(4, dtype=torch.bool)
    >>> w = torch.tensor([0.1, -0.9, 0.4, 0.2])
    >>> largest_first(w, w, nothing, 2, Generator())
    tensor([False,  True,  True, False])
    """
    return _highest(w.abs(), frozen, count)


def random(w: Tensor, values: Tensor, frozen: Tensor, count: int, draw: Generator) -> Tensor:
    """The frozen weights and others with equal probability (the paper's Table 2)."""
    return _highest(torch.rand(w.shape, generator=draw).to(w.device), frozen, count)


def quantization_error(
    w: Tensor, values: Tensor, frozen: Tensor, count: int, _: Generator
) -> Tensor:
    """The frozen weights and those nearest to the codebook (named as future work in the paper)."""
    return _highest(-(w - values).abs(), frozen, count)


def _highest(score: Tensor, frozen: Tensor, count: int) -> Tensor:
    """The frozen and then the highest scores, `count` in all; equal scores in storage order."""
    order = score.masked_fill(frozen, torch.inf).flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    mask[order[:count]] = True
    return mask.view_as(score)


@torch.no_grad()
def _prune(w: Tensor, share: float) -> None:
    """Make this share of the weights 0, in place: the smallest ones."""
    kept = w.numel() - round(share * w.numel())
    w.masked_fill_(~_highest(w.abs(), torch.zeros_like(w, dtype=torch.bool), kept), 0.0)


class GrowingPartition(Schedule):
    """INQ: freeze growing portions of the weights, train the rest in between.

    portions        accumulated, ascending, the last one 1
    epochs_per_step retraining after each portion but the last
    after           epochs after the last: only biases and batch norm are left to train
    partition       which weights are next
    cumulative      frozen weights stay frozen (Algorithm 1); False ranks all weights again at each
                    step, as the released code does, so that a weight frozen at 0 can come back
    codebook        fitted "once", or anew "per_step"; then frozen values move with it
    keep_zeros      weights that are 0 at the start (a pruned network) stay 0, and the portions
                    count the others
    seed            of the random partition
    prune           share of each layer's weights, the smallest, that is made 0 at the start, 0 to
                    below 1 (the paper prunes by dynamic network surgery); needs keep_zeros
    """

    def __init__(
        self,
        portions: Sequence[float],
        epochs_per_step: int = 1,
        after: int = 1,
        partition: Partition = largest_first,
        cumulative: bool = True,
        codebook: Literal["once", "per_step"] = "once",
        keep_zeros: bool = False,
        seed: int = 0,
        prune: float = 0.0,
    ) -> None:
        self.portions = [float(p) for p in portions]
        if not self.portions or self.portions[-1] != 1 or self.portions[0] <= 0:
            raise UserError(f"portions={self.portions}; they must be above 0 and end with 1")
        if any(a >= b for a, b in zip(self.portions, self.portions[1:], strict=False)):
            raise UserError(f"portions={self.portions}; they must ascend")
        check_least(1, epochs_per_step=epochs_per_step)
        check_least(0, after=after)
        check_choice("codebook", codebook, ("once", "per_step"))
        if keep_zeros and codebook == "per_step":
            raise UserError("keep_zeros needs codebook=once, whose reference remembers the zeros")
        if not 0 <= prune < 1 or (prune and not keep_zeros):
            raise UserError(f"prune={prune}; it is 0 to below 1, and needs keep_zeros=true")
        self.epochs, self.after, self.prune = epochs_per_step, after, prune
        self.partition, self.cumulative = partition, cumulative
        self.codebook, self.keep_zeros, self.seed = codebook, keep_zeros, seed

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        lengths = [*[self.epochs] * (len(self.portions) - 1), self.after]
        pairs = zip(self.portions, lengths, strict=True)
        return lasting(
            *(Phase(f"{100 * p:g} % frozen", n, f"freeze {100 * p:g} %", True) for p, n in pairs)
        )

    def begin(self, network: QuantizedNetwork) -> None:
        for layer, weights in network.weights():
            w = latent_weight(layer.module)
            if self.prune:
                _prune(w, self.prune)
            weights.allocate(w)

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            set_blend(network, 0.0)
            calibrate(network, images)
        self._freeze(network, phase)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        """Free weights are float in every step: the gradient is that of their own values.

        A layer that is frozen whole needs no gradient, a quarter of the work of a step.
        """
        set_blend(network, 0.0)
        observe(network, True)
        for layer, weights in network.weights():
            is_free = weights.mask is None or not bool(weights.mask.all())
            latent_weight(layer.module).requires_grad_(is_free)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        """Freeze what is left. Raises AssertionError if a weight is not on its codebook."""
        if not self.phases(network):
            self.enter(network, 0, images)
        observe(network, False)
        set_blend(network, 0.0)
        if network.quantized_share() < 1:
            self._freeze(network, len(self.portions) - 1)
        for layer, weights in network.weights():
            w = layer.module.weight.detach()
            assert torch.equal(weights.codebook(w)(w), w), f"{layer.name} is not on its codebook"

    def blend(self, epoch: float) -> float:
        return 0.0

    def _freeze(self, network: QuantizedNetwork, step: int) -> None:
        generator = torch.Generator().manual_seed(self.seed + step)
        for layer, weights in network.weights():
            self._freeze_layer(layer, weights, step, generator)

    @torch.no_grad()
    def _freeze_layer(
        self, layer: Layer, weights: WeightQuantization, step: int, generator: Generator
    ) -> None:
        mask = weights.mask
        assert mask is not None
        assert weights.saturations is not None
        w = layer.module.weight.detach().clone()
        latent_weight(layer.module).copy_(w)
        if step == 0 or self.codebook == "per_step":
            weights.reference = w
        book = weights.codebook(w)
        values = book(w)
        if self.cumulative and self.codebook == "once":
            values = torch.where(mask, w, values)
        zeros = self._pruned(layer, weights)
        fixed = (mask if self.cumulative else torch.zeros_like(mask)) | zeros
        pruned = int(zeros.sum())
        count = pruned + round(self.portions[step] * (w.numel() - pruned))
        chosen = self.partition(w, values, fixed, count, generator)
        # Saturated weights of the new ones: zero is within every codebook's reach.
        weights.saturations += book.saturations(w.masked_fill(mask | ~chosen, 0.0))
        weights.freeze(chosen, values)

    def _pruned(self, layer: Layer, weights: WeightQuantization) -> Tensor:
        """The weights that were zero before the first step, if they are to stay so."""
        reference = weights.reference
        assert reference is not None
        zeros = (reference == 0) & self.keep_zeros
        if zeros.any() and not (weights.codebook(reference).levels == 0).any():
            raise UserError(f"{layer.name}: keep_zeros, but this quantizer has no zero")
        return zeros
