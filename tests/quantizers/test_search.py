"""The search for the candidate with the least error."""

import torch

from dyadic.quantizers import Codebook
from dyadic.quantizers.search import SAMPLES, least_error, sample


def test_long_rows_are_sampled_evenly() -> None:
    x = torch.arange(4.0 * SAMPLES)[None]
    assert torch.equal(sample(x), x[:, ::4])
    assert sample(x[:, : 2 * SAMPLES - 1]).shape[1] == 2 * SAMPLES - 1
    assert SAMPLES == 2**16  # what runs were calibrated with


def test_of_equal_candidates_the_first_is_taken_in_each_row() -> None:
    rows = torch.tensor([[1.0, 1.0], [4.0, 4.0]])
    candidates = [torch.tensor([3.0, 3.0]), torch.tensor([2.0, 4.0]), torch.tensor([0.5, 4.0])]

    def ternary(scale: torch.Tensor) -> Codebook:
        return Codebook(scale[:, None], torch.tensor([-1, 0, 1]), 2)

    assert least_error(rows, candidates, ternary).tolist() == [0.5, 4.0]
    assert least_error(
        rows, [torch.tensor([2.0, 8.0]), torch.tensor([3.0, 9.0])], ternary
    ).tolist() == [2.0, 8.0]
