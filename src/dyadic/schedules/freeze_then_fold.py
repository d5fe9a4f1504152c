"""Batch norm moves first, then it is frozen and folded into the weights (HAWQ-V3, section 3.2).

    W' = gamma * W / sqrt(var + eps),   b' = beta - gamma * mean / sqrt(var + eps)

The fold keeps the module and its tensors: the batch norm becomes the identity plus b' (multiplier
1, mean 0, variance 1 - eps, beta = b'), with its statistics and multiplier frozen. So the names
and shapes in a checkpoint never change within a run, and beta goes on to train as the bias of the
folded layer.
"""

from typing import cast

from torch import Tensor

from dyadic.errors import check_least
from dyadic.network.activations import observe
from dyadic.network.fold import fold_in_place, folded_pairs, freeze_batch_norms
from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.schedules.schedule import Phase, Schedule, lasting


class FreezeThenFold(Schedule):
    """Quantization-aware training before and after batch norm is folded.

    epochs        of training with folded batch norm
    moving_epochs of training before, with batch norm as it is; 0 folds at the start, as the
                  authors' commands do (fix-BN), and is the same as `fold_at_start`
    """

    def __init__(self, epochs: int, moving_epochs: int = 1, fold_at_start: bool = False) -> None:
        check_least(1, epochs=epochs)
        check_least(0, moving_epochs=moving_epochs)
        self.epochs, self.moving_epochs = epochs, 0 if fold_at_start else moving_epochs
        self.folded_phase = int(self.moving_epochs > 0)

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        return lasting(
            Phase("batch norm moves", self.moving_epochs),
            Phase("batch norm folded", self.epochs, "fold batch norm", restart=True),
        )

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            calibrate(network, images)
        if phase == self.folded_phase:
            fold_in_place(network.body)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        observe(network, True)
        if phase == self.folded_phase:
            freeze_batch_norms(network)
            for _, norm in folded_pairs(network.body):
                cast(Tensor, norm.bias).requires_grad_(True)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        observe(network, False)
