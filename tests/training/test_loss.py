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


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_is_summed_over_classes_and_averaged_over_the_batch(temperature):
    """And multiplied by T^2, or its gradient would fade as T rises."""
    teacher, logits = TEACHER.double(), LOGITS.double()
    p, q = (teacher / temperature).softmax(1), (logits / temperature).softmax(1)
    divergence = temperature**2 * (p * (p / q).log()).sum(1).mean()
    loss = Distillation(Constant(teacher), 0.75, temperature)(logits, LABELS, LABELS)
    expected = 0.75 * divergence + 0.25 * F.cross_entropy(logits, LABELS)
    assert loss == pytest.approx(expected.item())


def test_half_of_the_loss_is_the_teacher_s_at_temperature_one_and_the_teacher_never_trains():
    teacher = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(2, 3)).train()
    loss = Distillation(teacher)
    assert (loss.alpha, loss.temperature) == (0.5, 1.0)
    assert not any(module.training for module in teacher.modules())
    images, logits = torch.ones(2, 2), LOGITS.clone().requires_grad_()
    loss(logits, LABELS, images).backward()
    assert logits.grad is not None
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothing_divides_its_share_of_the_target_among_all_classes(smoothing):
    target = (1 - smoothing) * F.one_hot(LABELS, 3) + smoothing / 3
    expected = -(target * LOGITS.log_softmax(1)).sum(1).mean()
    options = {"label_smoothing": smoothing} if smoothing else {}
    assert cross_entropy(LOGITS, LABELS, LABELS, **options) == pytest.approx(expected.item())


def test_alpha_zero_is_cross_entropy_and_an_equal_teacher_costs_nothing():
    plain = Distillation(Constant(TEACHER), alpha=0.0)(LOGITS, LABELS, LABELS)
    assert torch.equal(plain, cross_entropy(LOGITS, LABELS, LABELS))
    equal = Distillation(Constant(LOGITS), alpha=1.0, temperature=4.0)(LOGITS, LABELS, LABELS)
    assert equal.abs() < 1e-6


@pytest.mark.parametrize("wrong", [{"alpha": 1.01}, {"alpha": -0.01}, {"temperature": 0.0}])
def test_impossible_weights_are_refused(wrong):
    with pytest.raises(UserError, match="alpha is 0 to 1 and the temperature positive"):
        Distillation(Constant(TEACHER), **wrong)
