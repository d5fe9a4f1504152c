"""Evaluation in float32: loss, top-1 and top-5 of a set of images."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.network.modes import evaluating


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy, and top-1 and top-5 in percent."""

    loss: float
    top1: float
    top5: float


@torch.no_grad()
def evaluate(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """Score a network in evaluation mode on (uint8 images, labels) batches.

    Weights are quantized once, not once a batch.
    """
    device = next(network.parameters()).device
    seen, totals = 0, torch.zeros(3, dtype=torch.float64)
    with evaluating(network), parametrize.cached():
        for images, labels in batches:
            logits, labels = network(images.to(device)).float().cpu(), labels.cpu()
            totals += torch.stack(_sums(logits, labels))
            seen += len(labels)
    loss, top1, top5 = (totals / max(seen, 1)).tolist()
    return Score(loss, 100 * top1, 100 * top5)


def _sums(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    best = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = (best == labels[:, None]).double()
    return F.cross_entropy(logits, labels, reduction="sum").double(), hits[:, 0].sum(), hits.sum()
