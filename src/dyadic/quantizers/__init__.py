"""Quantizers: pure tensor maths. No training, no configuration, no model."""

from dyadic.quantizers.binary import Binary
from dyadic.quantizers.codebook import Codebook
from dyadic.quantizers.fixed_point import FixedPoint
from dyadic.quantizers.gradient import QuantizeGradient
from dyadic.quantizers.half_wave import HalfWave, RoundedHalfWave, SparseHalfWave
from dyadic.quantizers.learned import Lsq, Pact
from dyadic.quantizers.lloyd import Lloyd
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.power_of_two import PowerOfTwo
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.rounding import Stochastic
from dyadic.quantizers.ternary import Ternary
from dyadic.quantizers.uniform import Uniform
from dyadic.quantizers.uniform_codebook import UniformCodebook

__all__ = [
    "Binary",
    "Codebook",
    "FixedPoint",
    "HalfWave",
    "Lloyd",
    "Logarithmic",
    "Lsq",
    "Pact",
    "PowerOfTwo",
    "QuantizeGradient",
    "Quantizer",
    "RoundedHalfWave",
    "SparseHalfWave",
    "Stochastic",
    "Ternary",
    "Uniform",
    "UniformCodebook",
]
