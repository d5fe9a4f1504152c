"""The scale with the least squared error, among candidates, for each row of a tensor."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook, octave

SAMPLES = 2**16  # of a row that a search looks at


def sample(rows: Tensor) -> Tensor:
    """About `SAMPLES` values of each row, evenly spaced: [R, n] to [R, <= 2 * SAMPLES]."""
    return rows[:, :: max(1, rows.shape[1] // SAMPLES)]


def least_error(
    rows: Tensor, candidates: Iterable[Tensor], codebook: Callable[[Tensor], Codebook]
) -> Tensor:
    """The candidate, [R], with the least mean (Q(x) - x)^2 of each row; the first of equals.

    Args: rows [R, n], sampled evenly where they are long; candidates, each [R]; the codebook of a
    candidate, with a scale that broadcasts against the rows.
    """
    rows = sample(rows)
    unit = octave(rows, dim=1)
    best, least = torch.empty(0), torch.full_like(rows[:, 0], torch.inf)
    for candidate in candidates:
        error = ((codebook(candidate)(rows) - rows) / unit).square().mean(dim=1)
        best = torch.where(error < least, candidate, best if len(best) else candidate)
        least = torch.minimum(error, least)
    return best
