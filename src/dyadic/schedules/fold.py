"""Batch norm moves first, then it is frozen and folded into the weights (HAWQ-V3, section 3.2).

    W' = gamma * W / sqrt(var + eps),   b' = beta - gamma * mean / sqrt(var + eps)

The fold keeps the module and its tensors: the batch norm becomes the identity plus b' (multiplier
1, mean 0, variance 1 - eps, beta = b'), with its statistics and multiplier frozen. So the names
and shapes in a checkpoint never change within a run, and beta goes on to train as the bias of the
folded layer.
"""

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, fx, nn

from dyadic.errors import UserError
from dyadic.network.activations import observe
from dyadic.network.fold import affine, freeze_batch_norms
from dyadic.network.layers import batch_norm_after, module_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.weights import latent_weight
from dyadic.schedules.calibration import calibrate
from dyadic.schedules.schedule import Phase, Schedule


class FreezeThenFold(Schedule):
    """Quantization-aware training before and after batch norm is folded.

    epochs        of training with folded batch norm
    moving_epochs of training before, with batch norm as it is; 0 folds at the start, as the
                  authors' commands do (fix-BN), and is the same as `fold_at_start`
    """

    def __init__(self, epochs: int, moving_epochs: int = 1, fold_at_start: bool = False) -> None:
        if epochs < 1 or moving_epochs < 0:
            raise UserError(
                f"epochs={epochs}, moving_epochs={moving_epochs}; use at least 1, and 0 or more"
            )
        self.epochs, self.moving_epochs = epochs, 0 if fold_at_start else moving_epochs

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        folded = Phase("batch norm folded", self.epochs, "fold batch norm", restart=True)
        return [*self._before(), folded]

    def _before(self) -> list[Phase]:
        moving = Phase("batch norm moves", self.moving_epochs)
        return [moving] if moving.epochs else []

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            calibrate(network, images)
        if phase == len(self._before()):
            fold_in_place(network.body)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        observe(network, True)
        if phase == len(self._before()):
            freeze_batch_norms(network)
            for _, norm in folded_pairs(network.body):
                cast(Tensor, norm.bias).requires_grad_(True)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        observe(network, False)


def folded_pairs(body: fx.GraphModule) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions followed by a batch norm of their own, with that batch norm."""
    for node in body.graph.nodes:
        conv = module_of(body, node)
        norm_node = batch_norm_after(body, node) if isinstance(conv, nn.Conv2d) else None
        if isinstance(conv, nn.Conv2d) and norm_node is not None:
            yield conv, cast(nn.BatchNorm2d, module_of(body, norm_node))


@torch.no_grad()
def fold_in_place(body: fx.GraphModule) -> None:
    """Fold every batch norm behind a convolution; what the network computes stays the same.

    A convolution's own bias moves into b' and becomes 0. Raises UserError for a batch norm
    without affine parameters: it has no place for b'.
    """
    for conv, norm in folded_pairs(body):
        if not norm.affine:
            raise UserError("FreezeThenFold needs batch norm with affine parameters to hold b'")
        multiplier, shift = affine(norm)
        if conv.bias is not None:
            shift = shift + multiplier * conv.bias.double()
            conv.bias.zero_()
        weight = latent_weight(conv)
        weight.copy_(weight.double() * multiplier.reshape(-1, 1, 1, 1))
        norm.weight.fill_(1.0)
        norm.bias.copy_(shift)
        cast(Tensor, norm.running_mean).zero_()
        cast(Tensor, norm.running_var).fill_(1.0 - norm.eps)
