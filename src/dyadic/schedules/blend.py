"""Growing blend: weights move from float to their projection (BinaryRelax).

    x = (lambda * proj(y) + y) / (lambda + 1) = theta * proj(y) + (1 - theta) * y,
    theta = lambda / (1 + lambda)

y are the float weights that the optimizer updates, x the weights that the network computes with
(Yin et al. 2018, Eq. 3: the minimum of |x - y|^2 / 2 + lambda / 2 * dist(x, Q)^2). Phase one
relaxes, phase two computes with proj(y) alone. Scores are always those of the projected weights.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from dyadic.errors import UserError, check_least
from dyadic.network.activations import observe
from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.schedules.schedule import Phase, Schedule, lasting

Growth = Callable[[float, int], float]  # (epoch, epochs of phase one) -> theta, 0 to 1


@dataclass(frozen=True)
class Geometric:
    """lambda = lambda0 * rho^(k + 1) after k updates, one every `every` epochs: the paper's growth.

    The first epoch already multiplies by rho, as in the authors' code. `every` = 1 is once an
    epoch, 0.5 twice, 0 at every step (then k is the epoch with its fraction).

    rho   the factor of an update, or
    last  where lambda ends, however long phase one is; rho follows from it

    >>> growth = Geometric(rho=1.04)
    >>> [round(growth(epoch, 150), 4) for epoch in (0, 56, 117, 149)]
    [0.5098, 0.9034, 0.9903, 0.9972]
    >>> growth = Geometric(rho=None, last=359.0, every=0.5)
    >>> [round(growth(epochs - 0.1, epochs), 4) for epochs in (1, 2, 3)]  # 359 / 360
    [0.9972, 0.9972, 0.9972]
    """

    lambda0: float = 1.0
    rho: float | None = 1.04
    every: float = 1.0
    last: float | None = None

    def __post_init__(self) -> None:
        if (self.rho is None) == (self.last is None):
            raise UserError(f"rho={self.rho}, last={self.last}; give one, and null for the other")
        least = self.rho or (self.last or 0.0) / self.lambda0 if self.lambda0 else 0.0
        if self.lambda0 <= 0 or least < 1 or self.every < 0:
            raise UserError(
                f"lambda0={self.lambda0}, rho={self.rho}, last={self.last}, every={self.every}; "
                "they must be positive, at least 1, at least lambda0, and 0 or more"
            )

    def __call__(self, epoch: float, epochs: int) -> float:
        # An epoch that is a sum of fractions may lie just below the update that it belongs to.
        updates = math.floor(epoch / self.every + 1e-9) if self.every else epoch
        strength = self.lambda0 * self._factor(epochs) ** (updates + 1)
        return strength / (1 + strength)

    def _factor(self, epochs: int) -> float:
        if self.last is None:
            assert self.rho is not None
            return self.rho
        updates = math.ceil(epochs / self.every) if self.every else epochs + 1
        return (self.last / self.lambda0) ** (1 / updates)


def linear(epoch: float, epochs: int) -> float:
    """Theta = epoch / epochs: what torchao (PARQ) calls BinaryRelax; it starts from float."""
    return min(epoch / epochs, 1.0)


def slow_ends(epoch: float, epochs: int) -> float:
    """Theta = (1 - cos(pi * epoch / epochs)) / 2: slow at both ends."""
    return (1 - math.cos(math.pi * linear(epoch, epochs))) / 2


class GrowingBlend(Schedule):
    """BinaryRelax: phase one blends with growing theta, phase two is exact.

    epochs        of phase one
    phase2_epochs of phase two (the paper's small learning rate is the curve's end)
    growth        theta as a function of the epoch and the length of phase one
    """

    def __init__(self, epochs: int, phase2_epochs: int, growth: Growth) -> None:
        check_least(1, epochs=epochs)
        check_least(0, phase2_epochs=phase2_epochs)
        self.epochs, self.phase2_epochs, self.growth = epochs, phase2_epochs, growth

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        exact = Phase("exact", self.phase2_epochs, "projection only")
        return lasting(Phase("relaxation", self.epochs), exact)

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            calibrate(network, images)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        observe(network, True)

    def step(self, network: QuantizedNetwork, epoch: float) -> None:
        set_blend(network, self.blend(epoch))

    def measure(self, network: QuantizedNetwork) -> None:
        observe(network, False)
        set_blend(network, 1.0)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        self.measure(network)

    def blend(self, epoch: float) -> float:
        return self.growth(epoch, self.epochs) if epoch < self.epochs else 1.0


def set_blend(network: QuantizedNetwork, blend: float) -> None:
    """Give every quantized weight the same share of its projection, 0 (float) to 1."""
    for _, weights in network.weights():
        weights.blend = blend
