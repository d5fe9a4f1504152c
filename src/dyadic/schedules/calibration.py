"""Fitting activation ranges to calibration images: what every schedule does before using them."""

from collections.abc import Collection

from torch import Tensor

from dyadic.network.activations import activation_quantizations
from dyadic.network.quantized import QuantizedNetwork
from dyadic.quantizers.statistics import Remembered

BATCH = 128


def calibrate(
    network: QuantizedNetwork, images: Tensor, only: Collection[str] | None = None
) -> None:
    """Fit the activation ranges (or those named by `only`) anew to uint8 images [N, C, H, W].

    What a range remembers of an earlier network is forgotten first.
    """
    for name, quantization in activation_quantizations(network).items():
        if only is None or name in only:
            for memory in (m for m in quantization.modules() if isinstance(m, Remembered)):
                memory.value = memory.value.new_empty(0)
    network.calibrate(images.split(BATCH), only=only)
