"""Quantizers: pure tensor maths. No training, no configuration, no model."""

from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.rounding import Stochastic
from dyadic.quantizers.uniform import Uniform
from dyadic.quantizers.uniform_codebook import UniformCodebook

__all__ = [
    "Codebook",
    "Logarithmic",
    "PowerOfTwo",
    "Quantizer",
    "Stochastic",
    "Uniform",
    "UniformCodebook",
]
