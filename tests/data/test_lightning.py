"""The loaders under Lightning: the epoch reaches them, and a resumed run sees the same batches."""

import math
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from dyadic.data import InMemory
from dyadic.data.image_set import Batches
from dyadic.data.synthetic import Synthetic


class Linear(pl.LightningModule):
    """One layer, trained on batches that depend on the epoch; remembers what it saw."""

    def __init__(self, data: InMemory) -> None:
        super().__init__()
        self.data, self.seen = data, []
        size = math.prod(data.image_shape)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(size, data.classes))

    def train_dataloader(self) -> Batches:
        return self.data.train_batches(self.current_epoch)

    def training_step(self, batch: tuple[Tensor, Tensor], number: int) -> Tensor:
        images, labels = batch
        self.seen.append(images.tolist())
        return nn.functional.cross_entropy(self.net(images / 255), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def fit(module: Linear, epochs: int, folder: Path, checkpoint: Path | None = None) -> pl.Trainer:
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, default_root_dir=folder, logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        reload_dataloaders_every_n_epochs=1,
    )  # fmt: skip
    trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    return trainer


def model(tiny: Synthetic) -> Linear:
    torch.manual_seed(0)
    data = InMemory("tiny", tiny, 4, [0.5] * 3, [0.25] * 3, batch_size=16, crop_padding=1)
    return Linear(data)


def test_lightning_trains_each_epoch_on_that_epoch_s_batches(
    tiny: Synthetic, tmp_path: Path
) -> None:
    module = model(tiny)
    trainer = fit(module, 3, tmp_path)
    data = module.data
    assert module.seen == [x.tolist() for e in range(3) for x, _ in data.train_batches(e)]
    assert trainer.global_step == 3 * len(data.train_batches(0))


def test_resuming_between_epochs_is_bit_identical(tiny: Synthetic, tmp_path: Path) -> None:
    whole, first, second = model(tiny), model(tiny), model(tiny)
    fit(whole, 4, tmp_path)
    checkpoint = tmp_path / "half.ckpt"
    fit(first, 2, tmp_path).save_checkpoint(checkpoint)
    torch.rand(5)
    fit(second, 4, tmp_path, checkpoint)
    assert first.seen + second.seen == whole.seen
    assert torch.equal(second.net[1].weight, whole.net[1].weight)
