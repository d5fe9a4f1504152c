"""How many bits each layer gets: cost, sensitivity and the solvers between them."""

from dyadic.allocation.allocation import Allocation, Constrained, Fixed
from dyadic.allocation.closed_form import ClosedForm
from dyadic.allocation.cost import FLOAT, Bits, LayerCost, gbops, size_mib
from dyadic.allocation.exhaustive import exhaustive
from dyadic.allocation.greedy import greedy
from dyadic.allocation.ilp import Cbc, Highs
from dyadic.allocation.latency import LatencyTable
from dyadic.allocation.problem import Problem
from dyadic.allocation.random_fill import RandomFill
from dyadic.allocation.solve import Solution

__all__ = [
    "FLOAT",
    "Allocation",
    "Bits",
    "Cbc",
    "ClosedForm",
    "Constrained",
    "Fixed",
    "Highs",
    "LatencyTable",
    "LayerCost",
    "Problem",
    "RandomFill",
    "Solution",
    "exhaustive",
    "gbops",
    "greedy",
    "size_mib",
]
