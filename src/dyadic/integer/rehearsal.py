"""Whether a network has an integer form, asked before it is trained: what lowering, the proof and
the engines would say at the end, they say now.
"""

from dataclasses import dataclass

from torch import Tensor

from dyadic.errors import UserError
from dyadic.integer.engines.available import engines
from dyadic.integer.engines.check import compare
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import float_logits
from dyadic.integer.lowering.lower import lower
from dyadic.integer.program.bounds import Proof, prove
from dyadic.network.quantized import QuantizedNetwork

REHEARSED_IMAGES = 2  # that the rehearsal runs


@dataclass(frozen=True)
class Rehearsal:
    """A network as it is deployed, and the proof of its program."""

    deployed: QuantizedNetwork
    proof: Proof


def rehearse_integers(
    network: QuantizedNetwork, deployment: Deployment, images: Tensor
) -> Rehearsal:
    """Lower a quantized network as it is, prove the program, and run it in every engine once.

    images  uint8 [N, C, H, W], for calibration; REHEARSED_IMAGES of them are run
    The network's activation ranges are fitted to the images. Raises UserError with everything that
    has no integer form, or for the first value that differs.
    """
    network.eval().calibrate([images])
    deployed, note = deployment.prepare(network, [images])
    lowered = lower(deployed, "rehearsal", note)
    proof = prove(lowered.program)
    shown = images[:REHEARSED_IMAGES]
    _, float64 = float_logits(deployed, lowered, shown)
    report = compare(engines(proof), shown.numpy(), None, float64)
    if not report.passed:
        raise UserError(f"its integers are not equal everywhere: {report.first_difference}")
    return Rehearsal(deployed, proof)
