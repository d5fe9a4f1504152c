"""What every schedule is: which part of the network is quantized, trained or frozen, and when.

Fine-tuning is a list of phases. Training calls the hooks in this order, and a schedule overrides
those that it needs:

    begin                    once, before anything (also before a resumed run loads its checkpoint)
    for each phase:
        enter                at the phase's first epoch: an event that changes stored state
        for each epoch:
            arrange          what trains and what is frozen: a function of the phase alone
            for each step:   step
            measure          before the epoch's evaluation: what is scored is what would be used
    finish                   once, after the last epoch: everything is quantized

`enter` is not repeated when a run resumes within a phase: what it did is in the checkpoint.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from dyadic.network.activations import observe
from dyadic.network.quantized import QuantizedNetwork


@dataclass(frozen=True)
class Phase:
    """A stretch of training: its name, its length in epochs, and what its start means.

    event   one line for the training curve, such as "freeze 50 %"
    restart start the learning-rate curve again and forget the optimizer's state
    """

    name: str
    epochs: int
    event: str = ""
    restart: bool = False


def lasting(*phases: Phase) -> list[Phase]:
    """Those of the phases that take any epochs."""
    return [phase for phase in phases if phase.epochs]


class Schedule:
    """One of the papers' ways to get from a float network to a quantized one."""

    def loop(self, network: QuantizedNetwork, images: Tensor) -> Iterator[tuple[Phase, int]]:
        """The epochs of a training loop of one's own: (phase, epoch from 0), each set up.

        All hooks but `step` and `measure` are called; where a phase says `restart`, its first
        epoch is the place for a new optimizer. Leave the loop at its end only: that finishes it.

        >>> import torch
        >>> from torch import nn
        >>> import dyadic
        >>> from dyadic.schedules.partition import GrowingPartition
        >>> images, labels = torch.randint(0, 256, (8, 3, 8, 8)).byte(), torch.arange(8) % 2
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
        >>> network = dyadic.quantize(model, images, weight=dyadic.PowerOfTwo(5))
        >>> schedule = GrowingPartition([0.5, 1.0])
        >>> optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
        >>> for phase, epoch in schedule.loop(network, images):
        ...     schedule.step(network, epoch)  # before every batch
        ...     optimizer.zero_grad()
        ...     nn.functional.cross_entropy(network(images), labels).backward()
        ...     _ = optimizer.step()
        ...     print(f"{phase.event}: {network.quantized_share():.0%}")
        freeze 50 %: 50%
        freeze 100 %: 100%
        """
        self.begin(network)
        epoch = 0
        for index, phase in enumerate(self.phases(network)):
            for number in range(phase.epochs):
                if number == 0:
                    self.enter(network, index, images)
                network.train()
                self.arrange(network, index)
                yield phase, epoch
                epoch += 1
        self.finish(network.eval(), images)

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        """The phases in order; an empty list means that nothing is trained."""
        return []

    def begin(self, network: QuantizedNetwork) -> None:
        """Make room for what the schedule stores in the network."""

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        """Start a phase: `images` are calibration images, uint8 [N, C, H, W]."""

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        """Set what trains in a phase, after `network.train()`, at the start of every epoch."""

    def step(self, network: QuantizedNetwork, epoch: float) -> None:
        """Before an optimizer step; `epoch` counts from 0 over all phases, with fractions."""

    def measure(self, network: QuantizedNetwork) -> None:
        """Before an evaluation within training; the next `arrange` and `step` undo it."""
        observe(network, False)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        """After the last epoch: leave every quantized weight on its codebook."""

    def blend(self, epoch: float) -> float:
        """Strength of the quantization for the training curve, 0 (float) to 1."""
        return 1.0
