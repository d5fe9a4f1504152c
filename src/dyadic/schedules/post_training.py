"""Post-training quantization: nothing is trained."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.network.activations import observe
from dyadic.network.modes import evaluating
from dyadic.network.quantized import CALIBRATION_BATCH, QuantizedNetwork, calibrate
from dyadic.schedules.bias_correction import correct_biases
from dyadic.schedules.schedule import Schedule


class PostTraining(Schedule):
    """No training: activation ranges are calibrated once, weights are rounded as they are.

    re_estimate      first measure the batch norms' statistics anew, on the quantized network: those
                     of the float network are wrong by what quantization scales its outputs by
    bias_correction  at last move the biases, so that every layer's mean output is the float one
    """

    def __init__(self, bias_correction: bool = False, re_estimate: bool = False) -> None:
        self.bias_correction, self.re_estimate = bias_correction, re_estimate

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        calibrate(network, images)
        if self.re_estimate:
            re_estimate(network, images)
            calibrate(network, images)  # the ranges behind those batch norms have moved
        if self.bias_correction:
            correct_biases(network, images)


@torch.no_grad()
def re_estimate(network: QuantizedNetwork, images: Tensor) -> None:
    """Means and variances of all batch norms over uint8 images, with everything quantized.

    Plain averages over batches; nothing else is in training mode, such as a dropout.
    """
    observe(network, False)
    momenta = {m: m.momentum for m in network.modules() if isinstance(m, nn.BatchNorm2d)}
    with evaluating(network), parametrize.cached():
        for norm in momenta:
            norm.train().reset_running_stats()
            norm.momentum = None
        for batch in images.split(CALIBRATION_BATCH):
            network(batch)
    for norm, momentum in momenta.items():
        norm.momentum = momentum
