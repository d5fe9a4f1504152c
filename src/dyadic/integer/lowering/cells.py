"""A codebook as the integer program sees it: what the requantizer does and which cell follows."""

from dataclasses import dataclass

import numpy as np
import torch

from dyadic.quantizers.codebook import Codebook

CELL_BITS = 10  # a staircase that is not uniform is cut on a grid 2^10 times finer than its scale
GRID_BITS = 30  # of that grid at most, so that it fits int32
ROOT = (181, 128)  # sqrt(2) to 1.1e-4, for activation levels a + b sqrt(2) on one accumulator


@dataclass(frozen=True)
class CodeSteps:
    """A codebook as the requantizer sees it: a scale and a clamp, and thresholds if not uniform.

    A uniform codebook is the requantizer itself. Any other is cut on a grid 2^CELL_BITS times finer
    than its scale: the requantizer computes the grid point and `Threshold` finds the cell. Where
    the codebook spans more than 2^(GRID_BITS - CELL_BITS), the grid is coarser, and cells at the
    bottom that no grid point reaches (below 2^-30 of the range) fall away.

    scale      real value of one step of the requantizer
    thresholds smallest grid point of each upper cell, and `cells`, the codes of all cells
    """

    scale: float
    lo: int
    hi: int
    thresholds: np.ndarray | None = None
    cells: np.ndarray | None = None

    @classmethod
    def of(cls, book: Codebook) -> "CodeSteps":
        """The steps of an activation codebook."""
        scale = float(book.scale.double())
        midpoints = (book.levels[1:] + book.levels[:-1]) / 2
        lo, hi = int(book.levels[0]), int(book.levels[-1])
        even = bool((book.levels.diff() == 1).all())
        if book.integers.ndim == 1 and even and torch.equal(book.cuts, midpoints):
            return cls(scale, lo, hi)
        cuts = book.cuts.cpu().numpy()
        bits = min(CELL_BITS, GRID_BITS - int(np.ceil(np.log2(np.abs(cuts).max()))))
        thresholds = _thresholds(cuts * 2.0**bits, book.ties_up)
        reached = np.append(np.diff(thresholds) > 0, True)  # of equal thresholds the last
        cells = np.concatenate([[0], 1 + np.flatnonzero(reached)])
        thresholds = thresholds[reached]
        ends = int(thresholds[0]) - 1, int(thresholds[-1])
        return cls(scale / 2.0**bits, *ends, thresholds, cells)


def _thresholds(cuts: np.ndarray, ties_up: bool) -> np.ndarray:
    """Smallest grid integer of each upper cell; a value on a cut goes as the codebook says."""
    included = (cuts >= 0) == ties_up
    return np.where(included, np.ceil(cuts), np.floor(cuts) + 1).astype(np.int64)


def level_integers(book: Codebook) -> tuple[np.ndarray, float]:
    """The integers of activation codes, and the real value of one.

    Levels a + b sqrt(2) become 128 a + 181 b: with sqrt(2) weights, two accumulators would become
    four. The float64 check uses the same integers; the float32 comparison reports the difference.
    """
    integers, scale = book.integers.cpu().numpy().astype(np.int64), float(book.scale.double())
    if integers.ndim == 1:
        return integers, scale
    return integers[0] * ROOT[1] + integers[1] * ROOT[0], scale / ROOT[1]
