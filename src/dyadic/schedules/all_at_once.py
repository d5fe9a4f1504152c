"""All at once: plain quantization-aware training."""

from torch import Tensor

from dyadic.errors import UserError, check_least
from dyadic.network.activations import observe
from dyadic.network.quantized import QuantizedNetwork, calibrate
from dyadic.schedules.schedule import Phase, Schedule, lasting


class AllAtOnce(Schedule):
    """Every weight and activation is quantized at every step, with a straight-through gradient.

    epochs       of fine-tuning
    moving_range epochs in which static activation ranges follow the data; None: all of them
    """

    def __init__(self, epochs: int, moving_range: int | None = None) -> None:
        check_least(1, epochs=epochs)
        if moving_range is not None and not 0 <= moving_range <= epochs:
            raise UserError(f"moving_range={moving_range}; it must be 0 to epochs={epochs}")
        self.moving = epochs if moving_range is None else moving_range
        self.epochs = epochs

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        fixed = self.epochs - self.moving
        return lasting(
            Phase("quantization-aware training", self.moving),
            Phase("ranges fixed", fixed, "freeze activation ranges"),
        )

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            calibrate(network, images)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        observe(network, phase == 0 and self.moving > 0)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        observe(network, False)
