"""The mathematics of TSQ's second step: weights of one layer from its codes (Wang et al. 2018).

Per filter, with inputs x [N, m], target codes y [N] and weights a * w, w on a list of levels:

    min over a, w:  sum (y - Q(a * x w + t))^2,   Q relaxed to clamp(., low, high)

and with an auxiliary z that is pulled towards a * x w + t (the paper's Eq. 10):

    sum (y - clamp(z))^2 + lambda * sum (z - a * x w - t)^2

Two exact block steps alternate, so for a fixed lambda the objective never increases; lambda rises
in between. t is what batch norm and the bias add. All filters of a layer are solved at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Merit = Callable[[Tensor, Tensor], Tensor]  # (w . g, w . G w) -> how much of the squares w explains


@dataclass(frozen=True)
class LayerCodes:
    """What one layer (or group) is to compute, all float64.

    x         inputs [N, m], as the quantized layers below give them (or the float ones)
    y         target codes [N, F], in the units of the activation
    shift     [F]
    low, high where the activation's staircase saturates; infinite where it does not
    """

    x: Tensor
    y: Tensor
    shift: Tensor
    low: float
    high: float

    @cached_property
    def gram(self) -> Tensor:
        """x^T x, [m, m]: computed once for all trials."""
        return self.x.T @ self.x

    def output(self, a: Tensor, w: Tensor) -> Tensor:
        """What the layer gives before the activation, a * x w + t, [N, F]."""
        return a * (self.x @ w) + self.shift


def auxiliary(codes: LayerCodes, v: Tensor, strength: float) -> Tensor:
    """The z [N, F] with the least (y - clamp(z))^2 + lambda * (z - v)^2, element by element.

    Below, inside and above the clamp's range the best z is known; the best of the three is taken.
    """

    def cost(z: Tensor) -> Tensor:
        return (codes.y - z.clamp(codes.low, codes.high)) ** 2 + strength * (z - v) ** 2

    z = ((strength * v + codes.y) / (1 + strength)).clamp(codes.low, codes.high)
    for outside in (v.clamp(max=codes.low), v.clamp(min=codes.high)):
        z = torch.where(cost(outside) < cost(z), outside, z)
    return z


def objective(codes: LayerCodes, a: Tensor, w: Tensor, strength: float) -> Tensor:
    """The relaxed objective of each filter at its best z, [F]."""
    v = codes.output(a, w)
    z = auxiliary(codes, v, strength)
    misfit = (codes.y - z.clamp(codes.low, codes.high)) ** 2
    return (misfit + strength * (z - v) ** 2).sum(0)


def free_scale(p: Tensor, q: Tensor) -> Tensor:
    """Merit of w at its best scale: (w . g)^2 / (w . G w)."""
    return torch.where(q > 0, p * p / q.clamp(min=torch.finfo(q.dtype).tiny), 0.0)


def fixed_scale(a: Tensor) -> Merit:
    """Merit of w at a scale that the codebook prescribes: 2 a (w . g) - a^2 (w . G w)."""
    return lambda p, q: 2 * a * p - a * a * q


def coordinate_search(
    gram: Tensor, g: Tensor, w: Tensor, levels: Tensor, merit: Merit
) -> tuple[Tensor, Tensor, Tensor]:
    """One sweep: each element of w [m, F] in turn takes the level with the highest merit.

    g = x^T (z - t), [m, F]. A trial is O(1) with G w at hand, an accepted change O(m). Returns w
    with its w . g and w . G w, [F].
    """
    w, gw = w.clone(), gram @ w
    p, q = (w * g).sum(0), (w * gw).sum(0)
    # Below this, w . G w is rounding: those inputs cancel, and a quotient would mean nothing.
    smallest = 1e-12 * gram.diagonal().sum()
    for j in range(len(w)):
        delta = levels[:, None] - w[j]
        trial_q = q + delta * (2 * gw[j] + delta * gram[j, j])
        merits = merit(p + delta * g[j], torch.where(trial_q > smallest, trial_q, 0.0))
        best, level = merits.max(0)
        change = torch.where(best > merit(p, q), delta.gather(0, level[None])[0], 0.0)
        if change.any():
            p, q = p + change * g[j], q + change * (2 * gw[j] + change * gram[j, j])
            gw += torch.outer(gram[:, j], change)
            w[j] = torch.where(change == 0, w[j], levels[level])
    return w, p, q


def alternate(
    codes: LayerCodes, a: Tensor, w: Tensor, levels: Tensor, strength: float, free: bool
) -> tuple[Tensor, Tensor]:
    """One alternation: z for the present (a, w), then (a, w) for that z."""
    z = auxiliary(codes, codes.output(a, w), strength)
    g = codes.x.T @ (z - codes.shift)
    merit = free_scale if free else fixed_scale(a)
    w, p, q = coordinate_search(codes.gram, g, w, levels, merit)
    return (torch.where(q > 0, p / q, a) if free else a), w


def learn(
    codes: LayerCodes,
    a: Tensor,
    w: Tensor,
    levels: Tensor,
    strengths: Sequence[float],
    alternations: int,
    free: bool = True,
) -> tuple[Tensor, Tensor]:
    """Scale a [F] and level weights w [m, F] from a start, through the rising list of lambdas.

    free = False leaves the scale as it is, for codebooks whose scale does not follow the weights.
    """
    for strength in strengths:
        for _ in range(alternations):
            a, w = alternate(codes, a, w, levels, strength, free)
    return a, w
