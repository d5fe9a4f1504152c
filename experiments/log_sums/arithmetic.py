"""Accumulation in the log domain: approximate, and never called exact.

LogQuant (arXiv 1603.01025, section 3): with both operands powers of two, a product is the sum of
their exponents, p = w~ + x~. Keeping the running sum as a logarithm s too, with log2(1 + x) ~ x,

    s_n = max(s_(n-1), p_n) + bitshift(1, -|floor(s_(n-1)) - p_n|)

needs one comparison and one shift. The fraction of s is kept. The floor matters: with it this is an
addition in Mitchell's piecewise-linear format, exact until an octave is crossed; without it long
sums shrink towards ln 2 of their value, since the logarithm's slope is 1 / (s ln 2), not 1 / s.
The paper treats magnitudes; here positive and negative products are summed apart and subtracted in
the linear domain, because log2(1 - x) diverges.

The integer program does not use this: its accumulators are linear and exact. What a network loses
by it: `python -m dyadic log_domain RUN`.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from dyadic.errors import UserError

Antilog = Callable[[Tensor], Tensor]
NOTHING = -1e6  # the exponent of zero: no sum feels it, and finite, so that inf - inf cannot be
SUMS_KEPT = 2**15  # running sums that are kept at a time, few enough for the caches


def approximate_log_sum(products: Iterable[Tensor], floor: bool = True) -> Tensor:
    """s_N, approximately log2 of the sum of 2^p over the products, element by element, in order.

    products  exponents p, integers as float64 tensors of one shape; `NOTHING` is a product of zero.
              Each may be overwritten after the next was asked for
    floor     False leaves out the floor, as the formula is often copied
    Returns float64; far below every exponent where all products are zero.

    >>> exponents = torch.tensor([3.0, 3.0, 4.0, NOTHING], dtype=torch.float64)
    >>> approximate_log_sum(exponents).item()  # 8 + 8 + 16 = 32
    5.0
    """
    products = iter(products)
    s = next(products).clone()
    distance = torch.empty_like(s)
    for p in products:
        distance = torch.floor(s, out=distance) if floor else distance.copy_(s)
        step = distance.sub_(p).abs_().neg_().exp2_()
        torch.maximum(s, p, out=s).add_(step)
    return s


def mitchell_antilog(s: Tensor) -> Tensor:
    """`2^floor(s) * (1 + s - floor(s))`: what a shifter reads off.

    >>> mitchell_antilog(torch.tensor([4.5, NOTHING])).tolist()
    [24.0, 0.0]
    """
    whole = s.floor()
    return torch.exp2(whole) * (1 + (s - whole))


def approximate_product(
    weight: Tensor, x: Tensor, floor: bool = True, antilog: Antilog = mitchell_antilog
) -> Tensor:
    """Approximately `weight @ x`: antilog of the positive products' sum minus the negative ones'.

    weight [O, K], x [K, P], both zero or powers of two with a sign; summed in the order of K
    antilog `mitchell_antilog` or `torch.exp2`
    Returns float64 [O, P]. Raises UserError for values that are no powers of two.

    >>> x = torch.tensor([[16.0], [4.0], [8.0]])
    >>> approximate_product(torch.tensor([[1.0, -2.0, 0.0]]), x).item()
    8.0
    """
    outputs, size = len(weight), max(1, SUMS_KEPT // (2 * len(weight)))
    positive, negative = _exponents(weight)
    rows = torch.cat([positive, negative]).T[:, :, None]
    mirrored = torch.cat([negative, positive]).T[:, :, None] if bool((x < 0).any()) else None
    parts = []
    for columns in x.split(size, dim=1):
        s = approximate_log_sum(_products(rows, mirrored, columns), floor)
        parts.append(antilog(s[:outputs]) - antilog(s[outputs:]))
    return torch.cat(parts, dim=1)


def _products(rows: Tensor, mirrored: Tensor | None, x: Tensor) -> Iterator[Tensor]:
    """Exponents of the products, [2 O, P] for each of K: positive ones above, negative below.

    rows [K, 2 O, 1] meet the positive values of x [K, P], `mirrored` ones the negative.
    """
    positive, negative = _exponents(x)
    room = torch.empty(rows.shape[1], x.shape[1], dtype=torch.float64)
    for k in range(len(x)):
        yield torch.add(rows[k], positive[k], out=room)
        if mirrored is not None:
            yield torch.add(mirrored[k], negative[k], out=room)


def _exponents(x: Tensor) -> tuple[Tensor, Tensor]:
    """log2 of the positive values and of the negative ones' magnitudes, else `NOTHING`, float64."""
    mantissa, exponent = torch.frexp(x.double().abs())
    if not bool(((mantissa == 0.5) | (x == 0)).all()):
        raise UserError("log-domain accumulation of values that are no powers of two; use base 2")
    exponent = exponent.double() - 1
    nothing = torch.full_like(exponent, NOTHING)
    return torch.where(x > 0, exponent, nothing), torch.where(x < 0, exponent, nothing)
