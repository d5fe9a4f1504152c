"""Accumulation in the log domain: approximate, and never called exact.

LogQuant (arXiv 1603.01025, section 3): with both operands powers of two, a product is the sum of
their exponents, p = w~ + x~. Keeping the running sum as a logarithm s too, with log2(1 + x) ~ x,

    s_n = max(s_(n-1), p_n) + bitshift(1, -|floor(s_(n-1)) - p_n|)

needs one comparison and one shift. The fraction of s is kept. The floor matters: with it this is an
addition in Mitchell's piecewise-linear format, exact until an octave is crossed; without it long
sums shrink towards ln 2 of their value, since the logarithm's slope is 1 / (s ln 2), not 1 / s.
The paper treats magnitudes; here positive and negative products are summed apart and subtracted in
the linear domain, because log2(1 - x) diverges.

The integer program does not use this: its accumulators are linear and exact.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Antilog = Callable[[Tensor], Tensor]


def approximate_log_sum(products: Tensor, floor: bool = True) -> Tensor:
    """s_N, approximately log2 of the sum of 2^p over the last axis, in order.

    products  exponents p, integers as floats [..., N]; -inf is a product of zero
    floor     False leaves out the floor, as the formula is often copied
    Returns float64 [...]; -inf where every product is zero.

    >>> approximate_log_sum(torch.tensor([3.0, 3.0, 4.0, -torch.inf])).item()  # 8 + 8 + 16 = 32
    5.0
    """
    s = torch.full(products.shape[:-1], -torch.inf, dtype=torch.float64)
    for p in products.double().unbind(-1):
        distance = (s.floor() if floor else s) - p
        # Two zeros have no distance (inf - inf); nothing is added to them.
        step = torch.exp2(-distance.abs()).nan_to_num(0.0)
        s = torch.maximum(s, p) + step
    return s


def mitchell_antilog(s: Tensor) -> Tensor:
    """`2^floor(s) * (1 + s - floor(s))`: what a shifter reads off; 0 for -inf.

    >>> mitchell_antilog(torch.tensor([4.5, -torch.inf])).tolist()
    [24.0, 0.0]
    """
    whole = s.floor()
    return torch.exp2(whole) * (1 + (s - whole).nan_to_num(0.0))


def approximate_dot(
    signs: Tensor, products: Tensor, floor: bool = True, antilog: Antilog = mitchell_antilog
) -> Tensor:
    """Approximate sum of sign * 2^p over the last axis: antilog(s of +) - antilog(s of -).

    signs     -1, 0 or 1 [..., N]
    products  exponents p = w~ + x~ [..., N]
    antilog   `mitchell_antilog` or `torch.exp2`
    Returns float64 [...].

    >>> approximate_dot(torch.tensor([1, -1, 0]), torch.tensor([4, 2, 9])).item()
    12.0
    """
    nothing = torch.full_like(products, -torch.inf, dtype=torch.float64)
    positive, negative = (
        approximate_log_sum(torch.where(signs == sign, products.double(), nothing), floor)
        for sign in (1, -1)
    )
    return antilog(positive) - antilog(negative)
