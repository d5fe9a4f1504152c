"""Evaluation: the mode, the scores, and the state that it leaves."""

import pytest
import torch
from torch import nn

from dyadic.training.evaluate import Score, evaluate


class Ranked(nn.Module):
    """Gives class k the logit -k, whatever the image."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.logits = nn.Parameter(-torch.arange(float(classes)))

    def forward(self, images):
        return self.logits.expand(len(images), -1)


def test_top_1_and_top_5_count_the_best_and_the_five_best():
    labels = torch.arange(10)
    score = evaluate(Ranked(), [(torch.zeros(10, 1), labels)])
    assert (score.top1, score.top5) == (10.0, 50.0)
    for label, top1, top5 in ((0, 100.0, 100.0), (1, 0.0, 100.0), (4, 0.0, 100.0), (5, 0.0, 0.0)):
        score = evaluate(Ranked(), [(torch.zeros(2, 1), torch.tensor([label] * 2))])
        assert (score.top1, score.top5) == (top1, top5)
    assert evaluate(Ranked(3), [(torch.zeros(3, 1), torch.arange(3))]).top5 == 100.0
    assert evaluate(Ranked(), [(torch.zeros(1, 1), torch.tensor([0]))]).top1 == 100.0


def test_batches_of_any_size_give_the_score_of_all_images():
    labels = torch.arange(10)
    whole = evaluate(Ranked(), [(torch.zeros(10, 1), labels)])
    parts = [(torch.zeros(len(part), 1), part) for part in labels.split([1, 7, 2])]
    found = evaluate(Ranked(), parts)
    assert (found.top1, found.top5) == (whole.top1, whole.top5)
    assert found.loss == pytest.approx(whole.loss)


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_in_evaluation_mode_and_leaves_the_mode_as_it_was(training):
    seen = []

    class Watched(Ranked):
        def forward(self, images):
            seen.append(self.training)
            return super().forward(images)

    network = Watched().train(training)
    evaluate(network, [(torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64))] * 2)
    assert seen == [False, False]
    assert network.training == training


def test_batch_norm_is_scored_with_its_running_statistics():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2))
    images, before = torch.randn(8, 2) + 5, network[0].running_mean.clone()
    network.train()
    evaluate(network, [(images, torch.zeros(8, dtype=torch.int64))])
    assert torch.equal(network[0].running_mean, before)


def test_no_images_have_no_score():
    assert evaluate(Ranked(), []) == Score(0.0, 0.0, 0.0)
