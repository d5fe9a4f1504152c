"""How many bits each layer gets: cost, sensitivity and the solvers between them."""

from dyadic.allocation.allocation import Constrained, Fixed
from dyadic.allocation.closed_form import ClosedForm
from dyadic.allocation.cost import LayerCost
from dyadic.allocation.latency import LatencyTable
from dyadic.allocation.problem import Problem, problem_of
from dyadic.allocation.sensitivity.hessian import RelativeError, hessian_traces
from dyadic.allocation.sensitivity.sample import Sample
from dyadic.allocation.sensitivity.sensitivity import HessianTrace
from dyadic.allocation.solvers.exhaustive import exhaustive
from dyadic.allocation.solvers.greedy import greedy
from dyadic.allocation.solvers.ilp import Cbc, Highs
from dyadic.allocation.solvers.random_fill import RandomFill

__all__ = [
    "Cbc",
    "ClosedForm",
    "Constrained",
    "Fixed",
    "HessianTrace",
    "Highs",
    "LatencyTable",
    "LayerCost",
    "Problem",
    "RandomFill",
    "RelativeError",
    "Sample",
    "exhaustive",
    "greedy",
    "hessian_traces",
    "problem_of",
]
