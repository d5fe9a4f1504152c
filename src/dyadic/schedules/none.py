"""Post-training quantization: nothing is trained."""

from torch import Tensor

from dyadic.network.quantized import QuantizedNetwork
from dyadic.schedules.calibration import calibrate
from dyadic.schedules.schedule import Schedule


class PostTraining(Schedule):
    """No training: activation ranges are calibrated once, weights are rounded as they are."""

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        calibrate(network, images)
