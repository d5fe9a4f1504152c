"""The Lightning module: one for the float baseline and for every method.

What a method does differently is in its schedule; what it minimizes is in the loss.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dyadic.schedules.schedule import Phase
from dyadic.training.curves import Curve, progress_in_segment
from dyadic.training.finite import LOOK, check_step

OptimizerFactory = Callable[[list[dict]], Optimizer]
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of (logits, labels, images)


class Data(Protocol):
    """What training needs of a data set (`dyadic.data`)."""

    def train_batches(
        self, epoch: int, device: torch.device = ...
    ) -> Iterable[tuple[Tensor, Tensor]]: ...
    def watched_batches(self) -> Iterable[tuple[Tensor, Tensor]]: ...
    def test_batches(self) -> Iterable[tuple[Tensor, Tensor]]: ...


class Training(pl.LightningModule):
    """Trains a network on uint8 images through the phases of a schedule.

    optimizer    factory that takes the parameter groups
    curve        learning-rate factor as a function of progress (0 to 1) since the last restart
    loss         of (logits, labels, images)
    share        of the training images that an epoch sees, others in every epoch
    """

    def __init__(
        self,
        network: nn.Module,
        data: Data,
        phases: list[Phase],
        optimizer: OptimizerFactory,
        curve: Curve,
        loss: Loss,
        share: float = 1.0,
    ) -> None:
        super().__init__()
        self.network, self.data, self.phases = network, data, phases
        self.optimizer_factory, self.curve, self.loss = optimizer, curve, loss
        batches = len(data.train_batches(0))  # type: ignore[arg-type]
        self.steps_per_epoch = max(round(share * batches), 1)

    def train_dataloader(self) -> Iterable[tuple[Tensor, Tensor]]:
        """The batches of the current epoch: a function of (seed, epoch) alone."""
        return self.data.train_batches(self.current_epoch, self.device)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        images, labels = batch
        loss = self.loss(self.network(images), labels, images)
        last = batch_index + 1 == self.steps_per_epoch
        if loss.device.type == "cpu" or last or batch_index % LOOK == 0:
            check_step(loss, self.network, images, self.current_epoch)
        self.log("train_loss", loss, on_epoch=True, on_step=False, prog_bar=True, sync_dist=True)
        return loss

    def configure_optimizers(self) -> dict:
        optimizer = self.optimizer_factory(parameter_groups(self.network))

        def factor(step: int) -> float:
            return self.curve(progress_in_segment(self.phases, step / self.steps_per_epoch))

        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": rate, "interval": "step"}}


def parameter_groups(network: nn.Module) -> list[dict]:
    """Weights with the optimizer's weight decay; biases, batch norm and learned ranges without.

    Decay on a bias or a batch norm pulls towards nothing that helps (He et al. 2019, section 3.1),
    and on a learned step size it would shrink the range.
    """
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": decayed}, {"params": rest, "weight_decay": 0.0}]
