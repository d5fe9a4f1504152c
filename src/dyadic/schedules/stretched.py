"""A schedule in another number of epochs than its own."""

from dataclasses import replace

from torch import Tensor

from dyadic.errors import UserError
from dyadic.network.quantized import QuantizedNetwork
from dyadic.schedules.schedule import Phase, Schedule, lasting


class Stretched(Schedule):
    """Another schedule whose phases take `epochs` in all; None: one epoch each.

    Each phase keeps its share of the whole, as far as whole epochs allow, and at least one. The
    schedule itself sees its own clock: what grows with the epoch grows through the same values.
    """

    def __init__(self, schedule: Schedule, epochs: int | None) -> None:
        self.schedule, self.epochs = schedule, epochs
        self.clock: list[tuple[int, int]] = []  # of each phase: its own length, and the new one

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        """The schedule's phases; UserError where there are none, or fewer epochs than phases."""
        own = lasting(*self.schedule.phases(network))
        wanted = len(own) if self.epochs is None else self.epochs
        if self.epochs is not None and not own:
            raise UserError(f"epochs={wanted}; this schedule trains nothing, leave epochs out")
        lengths = shared([phase.epochs for phase in own], wanted)
        self.clock = [(phase.epochs, n) for phase, n in zip(own, lengths, strict=True)]
        return [replace(phase, epochs=n) for phase, n in zip(own, lengths, strict=True)]

    def _own(self, epoch: float) -> float:
        """The schedule's own epoch at this one."""
        own = 0.0
        for length, new in self.clock:
            if epoch < new:
                return own + epoch * length / new
            own, epoch = own + length, epoch - new
        return own + epoch

    def begin(self, network: QuantizedNetwork) -> None:
        self.schedule.begin(network)

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        self.schedule.enter(network, phase, images)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        self.schedule.arrange(network, phase)

    def step(self, network: QuantizedNetwork, epoch: float) -> None:
        self.schedule.step(network, self._own(epoch))

    def measure(self, network: QuantizedNetwork) -> None:
        self.schedule.measure(network)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        self.schedule.finish(network, images)

    def blend(self, epoch: float) -> float:
        return self.schedule.blend(self._own(epoch))


def shared(lengths: list[int], total: int) -> list[int]:
    """`total` epochs shared out like `lengths`, at least one each.

    One epoch after the other goes to the phase that has the least of its length.

    >>> shared([1, 1, 1, 1], 5), shared([150, 50], 8), shared([5, 1], 2), shared([], 0)
    ([2, 1, 1, 1], [6, 2], [1, 1], [])
    """
    if not isinstance(total, int) or total < len(lengths):
        raise UserError(
            f"epochs={total}; the schedule has {len(lengths)} phases, and each takes at least 1"
        )
    given = [1] * len(lengths)
    for _ in range(total - len(lengths)):
        given[min(range(len(lengths)), key=lambda i: (given[i] + 1) / lengths[i])] += 1
    return given
