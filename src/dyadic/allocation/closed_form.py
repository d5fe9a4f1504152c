"""Bits by a formula: layers with more weights get fewer (Lin, Talathi and Annapureddy, ICML 2016).

With kappa dB of SQNR per bit, minimising the size sum rho_i beta_i under a fixed output noise
sum_i 10^(-kappa beta_i / 10), gives  beta_i - beta_j = (10 / kappa) log10(rho_j / rho_i).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dyadic.allocation.allocation import Exceptions
from dyadic.allocation.problem import Problem
from dyadic.network.insert import FLOAT, Bits


@dataclass(frozen=True)
class ClosedForm(Exceptions):
    """Weight widths by the formula, at the size of `bits` everywhere; one width of activations.

    widths  what a layer may take; the formula's real number is rounded to the nearest
    kappa   dB of SQNR per bit: 6.02 by the textbook, about 5.2 for Gaussians with clipping
    """

    bits: float
    activation_bits: int | None = None
    widths: Sequence[int] = (2, 3, 4, 5, 6, 7, 8)
    kappa: float = 6.02

    def assign(self, problem: Problem) -> dict[str, Bits]:
        """Raises UserError for an override of a layer that does not exist."""
        fixed = self.exceptions(problem, self.activation_bits is None)
        free = {la.name: la.parameters for la in problem.layers if la.name not in fixed}
        real = closed_form_bits(list(free.values()), self.bits, self.kappa)
        activation = self.activation_bits or FLOAT
        bits = {
            name: (min(self.widths, key=lambda width: abs(width - beta)), activation)
            for name, beta in zip(free, real, strict=True)
        }
        return {layer.name: (fixed | bits)[layer.name] for layer in problem.layers}


def closed_form_bits(parameters: Sequence[int], bits: float, kappa: float = 6.02) -> list[float]:
    """Real widths of layers with these numbers of weights, of the same total size as `bits` each.

    >>> [round(beta, 2) for beta in closed_form_bits([100, 100, 400], bits=4.0, kappa=6.02)]
    [4.67, 4.67, 3.67]
    """
    logs = [10 / kappa * math.log10(rho) for rho in parameters]
    total = sum(parameters)
    mean = sum(rho * log for rho, log in zip(parameters, logs, strict=True)) / total if total else 0
    return [bits + mean - log for log in logs]
