"""Post-training quantization: nothing is trained."""

from torch import Tensor

from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.schedules.bias_correction import correct_biases
from dyadic.schedules.schedule import Schedule


class PostTraining(Schedule):
    """No training: activation ranges are calibrated once, weights are rounded as they are.

    bias_correction  then move the biases, so that every layer's mean output is the float one
    """

    def __init__(self, bias_correction: bool = False) -> None:
        self.bias_correction = bias_correction

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        calibrate(network, images)
        if self.bias_correction:
            correct_biases(network, images)
