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


class Schedule:
    """One of the papers' ways to get from a float network to a quantized one."""

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
