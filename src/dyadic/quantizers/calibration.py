"""Range estimators: which interval [low, high] a uniform quantizer should cover.

Each takes rows [R, n] (`dyadic.quantizers.granularity`), the bits, whether the range is signed and
the grid that a range gets, and returns low and high, [R] each, with low <= 0 <= high; low = 0 where
it is not signed. A symmetric signed quantizer passes magnitudes and one bit less (Gholami et al.,
section III-C).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dyadic.quantizers.codebook import Codebook, octave
from dyadic.quantizers.search import least_error, sample

RangeCodebook = Callable[[Tensor, Tensor], Codebook]
"""The codebook of ranges, low and high as [R, 1]."""

Calibration = Callable[[Tensor, int, bool, RangeCodebook], tuple[Tensor, Tensor]]


def minmax(
    rows: Tensor, bits: int, signed: bool, grid: RangeCodebook | None = None
) -> tuple[Tensor, Tensor]:
    """The whole range: nothing saturates.

    >>> minmax(torch.tensor([[-1.0, 0.5, 3.0]]), bits=8, signed=True)
    (tensor([-1.]), tensor([3.]))
    """
    high = rows.amax(dim=1).clamp_min(0)
    return (rows.amin(dim=1).clamp_max(0) if signed else torch.zeros_like(high)), high


def percentile(
    rows: Tensor, bits: int, signed: bool, grid: RangeCodebook | None = None, share: float = 99.9
) -> tuple[Tensor, Tensor]:
    """The range that holds `share` percent below its high end, and above its low end.

    The high end is the i-th smallest value, i = ceil(share * n / 100), the low end its mirror.

    >>> percentile(torch.arange(1.0, 101.0)[None], bits=8, signed=False, share=99.0)
    (tensor([0.]), tensor([99.]))
    """
    index = max(1, -int(-share * rows.shape[1] // 100))
    high = rows.kthvalue(index, dim=1).values.clamp_min(0)
    low = -(-rows).kthvalue(index, dim=1).values if signed else torch.zeros_like(high)
    return low.clamp_max(0), high


def mse(
    rows: Tensor, bits: int, signed: bool, grid: RangeCodebook, candidates: int = 80
) -> tuple[Tensor, Tensor]:
    """The range, a fraction k / candidates of min-max, whose grid has the least squared error."""
    low, high = minmax(rows, bits, signed, grid)
    fractions = (torch.full_like(high, k / candidates) for k in range(candidates, 0, -1))
    best = least_error(rows, fractions, lambda f: grid((low * f)[:, None], (high * f)[:, None]))
    return low * best, high * best


def entropy(
    rows: Tensor, bits: int, signed: bool, grid: RangeCodebook | None = None, bins: int = 2048
) -> tuple[Tensor, Tensor]:
    """The range whose quantized histogram of magnitudes has the least KL divergence.

    KL(P || Q) of the clipped histogram P, outliers in its last bin, and of Q, P's unclipped part
    merged into equal cells and spread again over the bins that are not empty (Migacz 2017,
    TensorRT's calibration). 2^bits cells; signed: half of them, and one magnitude for both ends.
    """
    low, high = minmax(rows, bits, signed)
    magnitudes = sample(rows).abs() if signed else sample(rows).clamp_min(0)
    limit = torch.stack([_entropy_limit(row, 2 ** (bits - signed), bins) for row in magnitudes])
    return torch.maximum(low, -limit), torch.minimum(high, limit)


def _entropy_limit(magnitudes: Tensor, cells: int, bins: int) -> Tensor:
    top = magnitudes.max()
    if top == 0:
        return top
    unit = octave(top)
    scaled, end = magnitudes.float() / unit, (top / unit).item()
    histogram = torch.histc(scaled, bins, min=0.0, max=end).double().cpu()
    # Zero is represented without an error whatever the range (ReLU outputs are full of it).
    histogram[0] = (histogram[0] - (magnitudes == 0).sum().cpu()).clamp_min(0)
    widths = range(min(cells, bins), bins + 1, max(1, bins // 128))
    divergences = [_divergence(histogram, width, cells) for width in widths]
    best = widths[min(range(len(divergences)), key=divergences.__getitem__)]
    return top * (best / bins)  # bins is a power of two


def _divergence(histogram: Tensor, width: int, cells: int) -> float:
    inside = histogram[:width]
    p = inside.clone()
    p[-1] += histogram[width:].sum()
    cell = torch.arange(width) * cells // width
    filled = (inside > 0).double()
    mass = torch.zeros(cells, dtype=torch.float64).index_add_(0, cell, inside)
    count = torch.zeros(cells, dtype=torch.float64).index_add_(0, cell, filled)
    q = filled * (mass / count.clamp_min(1))[cell]
    # A bin of outliers alone has q = 0: count it as almost empty instead of as infinitely bad.
    p, q = p / p.sum().clamp_min(1), (q / q.sum().clamp_min(1)).clamp_min(1e-10)
    return torch.xlogy(p, p / q).sum().item()
