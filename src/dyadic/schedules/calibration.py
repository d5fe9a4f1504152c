"""Calibration images in batches: what every schedule does before ranges are used."""

from collections.abc import Collection

from torch import Tensor

from dyadic.network.quantized import QuantizedNetwork

BATCH = 128


def calibrate(
    network: QuantizedNetwork, images: Tensor, only: Collection[str] | None = None
) -> None:
    """Let the activation ranges (or those named by `only`) see uint8 images [N, C, H, W]."""
    network.calibrate(images.split(BATCH), only=only)
