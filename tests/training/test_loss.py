"""Distillation's soft term is the batch-mean divergence, so its weight does not fade."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dyadic.errors import UserError
from dyadic.training.loss import Distillation, cross_entropy


class Constant(nn.Module):
    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images):
        return self.logits


LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
TEACHER = torch.tensor([[0.5, 1.0, 0.5], [1.0, -2.0, 2.0]])
LABELS = torch.tensor([1, 2])


def test_the_divergence_is_summed_over_classes_and_averaged_over_the_batch():
    p, q = TEACHER.softmax(1), LOGITS.softmax(1)
    divergence = (p * (p / q).log()).sum(1).mean()
    loss = Distillation(Constant(TEACHER), alpha=0.75)(LOGITS, LABELS, LABELS)
    expected = 0.75 * divergence + 0.25 * F.cross_entropy(LOGITS, LABELS)
    assert loss == pytest.approx(expected.item())


def test_alpha_zero_is_cross_entropy_and_an_equal_teacher_costs_nothing():
    plain = Distillation(Constant(TEACHER), alpha=0.0)(LOGITS, LABELS, LABELS)
    assert torch.equal(plain, cross_entropy(LOGITS, LABELS, LABELS))
    equal = Distillation(Constant(LOGITS), alpha=1.0, temperature=4.0)(LOGITS, LABELS, LABELS)
    assert equal.abs() < 1e-6


def test_impossible_weights_are_refused():
    with pytest.raises(UserError, match="alpha is 0 to 1"):
        Distillation(Constant(TEACHER), alpha=1.5)
