"""From layers and widths to numbers that a solver can weigh."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from dyadic.allocation.cost import BITS_PER_MIB, LayerCost, costs_of
from dyadic.allocation.latency import LatencyTable
from dyadic.allocation.solvers.knapsack import Knapsack
from dyadic.errors import UserError
from dyadic.network.insert import Bits
from dyadic.network.layers import ties
from dyadic.network.quantized import QuantizedNetwork

Omega = Callable[[str, int, int], float]
"""omega(layer, weight bits, activation bits): the harm that these widths do."""


@dataclass(frozen=True)
class Problem:
    """What an allocation decides over, in plain data.

    layers  in execution order
    ties    layer to the layer whose widths it must share (a downsample convolution to the first
            convolution of its block, as in the authors' notebook)
    latency milliseconds per layer and widths, where a device was measured
    """

    layers: Sequence[LayerCost]
    omega: Omega
    ties: Mapping[str, str] = field(default_factory=dict)
    latency: LatencyTable | None = None

    def nanoseconds(self, layer: LayerCost, bits: Bits) -> int:
        """Latency of one layer on the measured device."""
        return round(cast(LatencyTable, self.latency).milliseconds(layer, bits) * 10**6)


def problem_of(network: QuantizedNetwork, omega: Omega) -> Problem:
    """A network's layers and ties; nothing is measured before `omega` is asked."""
    return Problem(costs_of(network.layers), omega, ties(network.body))


@dataclass(frozen=True)
class Measure:
    """One kind of budget: whole units, so that sums and comparisons are exact.

    unit units per MiB, GBOP or millisecond
    name what those are called
    cost units that one layer takes
    """

    unit: int
    name: str
    cost: Callable[[Problem, LayerCost, Bits], int]


MEASURES = {
    "size": Measure(BITS_PER_MIB, "MiB", lambda _, layer, bits: layer.size(bits)),
    "gbops": Measure(10**9, "GBOPS", lambda _, layer, bits: layer.bit_operations(bits)),
    "latency": Measure(10**6, "ms", Problem.nanoseconds),
}


@dataclass(frozen=True)
class Grid:
    """Groups of layers that share their widths, the widths they may take, and what each costs.

    menus widths per group
    omega float64 [choices] per group
    cost  for every kind of budget that is known here: int64 [choices] per group, in the units of
          `MEASURES`
    """

    groups: list[list[LayerCost]]
    menus: list[list[Bits]]
    omega: list[np.ndarray]
    cost: Mapping[str, list[np.ndarray]]

    def column(self, kind: str) -> list[np.ndarray]:
        """The costs of one kind; UserError where latency is asked for and was not measured."""
        if kind not in self.cost:
            raise UserError(
                f"a {kind} budget needs the device's table; make one with: python -m dyadic latency"
            )
        return self.cost[kind]

    def limit(self, kind: str, share: float) -> int:
        """All-low plus share * (all-high - all-low), in units (HAWQ-V3, section 4.3: 0.25 to 0.75).

        Layers with one choice count on both sides, so only the others share what is between.
        """
        rows = self.column(kind)
        low, high = (sum(int(end(row)) for row in rows) for end in (np.min, np.max))
        return low + int(share * (high - low))

    def knapsack(self, limits: Mapping[str, int]) -> Knapsack:
        """The problem that remains under these limits, in units."""
        columns = [self.column(kind) for kind in limits]
        cost = [
            np.stack(rows, axis=1) if rows else np.zeros((len(menu), 0), dtype=np.int64)
            for menu, *rows in zip(self.menus, *columns, strict=True)
        ]
        return Knapsack(self.omega, cost, np.array(list(limits.values()), dtype=np.int64))

    def bits(self, picks: Sequence[int]) -> dict[str, Bits]:
        """Widths of every layer."""
        return {
            layer.name: menu[pick]
            for group, menu, pick in zip(self.groups, self.menus, picks, strict=True)
            for layer in group
        }


def grid(problem: Problem, choices: Sequence[Bits], fixed: Mapping[str, Bits]) -> Grid:
    """The grid of `problem`: every layer takes one of `choices`, or what `fixed` says.

    Raises UserError where layers that are tied to one another are fixed to different widths, and
    for a sensitivity that is not finite.
    """
    groups = _tied(problem)
    menus = [_menu(group, choices, fixed) for group in groups]
    kinds = [kind for kind in MEASURES if kind != "latency" or problem.latency is not None]

    def rows(value: Callable[[LayerCost, Bits], float], dtype: type) -> list[np.ndarray]:
        return [
            np.array([sum(value(layer, bits) for layer in group) for bits in menu], dtype=dtype)
            for group, menu in zip(groups, menus, strict=True)
        ]

    omega = rows(lambda layer, bits: problem.omega(layer.name, *bits), np.float64)
    _check_finite(groups, omega)
    cost = {
        kind: rows(lambda layer, bits, m=MEASURES[kind]: m.cost(problem, layer, bits), np.int64)
        for kind in kinds
    }
    return Grid(groups, menus, omega, cost)


def _check_finite(groups: Sequence[Sequence[LayerCost]], omega: Sequence[np.ndarray]) -> None:
    for group, row in zip(groups, omega, strict=True):
        if not np.isfinite(row).all():
            raise UserError(
                f"the sensitivity of layer {group[0].name} is not finite; is the float network "
                "trained, and its loss on the training images a number?"
            )


def _tied(problem: Problem) -> list[list[LayerCost]]:
    """Groups in the execution order of their first layers."""
    groups: dict[str, list[LayerCost]] = {}
    for layer in problem.layers:
        head = layer.name
        while head in problem.ties:
            head = problem.ties[head]
        groups.setdefault(head, []).append(layer)
    return list(groups.values())


def _menu(
    group: Sequence[LayerCost], choices: Sequence[Bits], fixed: Mapping[str, Bits]
) -> list[Bits]:
    named = {fixed[layer.name] for layer in group if layer.name in fixed}
    if len(named) > 1:
        names = ", ".join(layer.name for layer in group)
        raise UserError(f"tied layers {names} have different widths; set them alike, or ties=false")
    return list(named or choices)
