"""Statistics that a quantizer keeps: a tensor of the checkpoint that is unknown until first set."""

from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.99  # of running statistics, as HAWQ-V3's released code


class Remembered(nn.Module):
    """A tensor that is empty until it is known, of any shape; its state is its buffer alone.

    >>> exponent = Remembered()
    >>> exponent.known
    False
    >>> exponent.keep(torch.tensor(-3)).known
    True
    """

    value: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("value", torch.empty(0))

    @property
    def known(self) -> bool:
        """Whether a value was kept; reads no device memory."""
        return self.value.numel() > 0

    def keep(self, value: Tensor) -> "Remembered":
        """Keep a value, instead of the one before."""
        self.value = value.detach().clone()
        return self

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        stored = state.get(f"{prefix}value")
        if stored is not None:
            self.value = self.value.new_empty(stored.shape, dtype=stored.dtype)
        super()._load_from_state_dict(state, prefix, *rest)


class RunningMean(Remembered):
    """`m * momentum + x * (1 - momentum)` over batches; the first batch initializes it."""

    def __init__(self, momentum: float = MOMENTUM) -> None:
        super().__init__()
        self.momentum = momentum

    def update(self, x: Tensor) -> None:
        """Take in the statistic of one batch, any shape."""
        if self.known:
            self.value.lerp_(x.to(self.value.dtype), 1 - self.momentum)
        else:
            self.keep(x)


class RunningRange(nn.Module):
    """A static range (low, high) from batches: exponential moving average, or the extremes.

    momentum  of the average; None takes the smallest low and the largest high ever seen
    """

    def __init__(self, momentum: float | None = MOMENTUM) -> None:
        super().__init__()
        self.extremes = momentum is None
        self.mean = RunningMean(0.0 if momentum is None else momentum)

    @property
    def known(self) -> bool:
        """Whether a batch was seen."""
        return self.mean.known

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """Low and high, each shape ()."""
        low, high = self.mean.value
        return low, high

    def update(self, low: Tensor, high: Tensor) -> None:
        """Take in the range of one batch."""
        if self.extremes and self.known:
            low, high = torch.minimum(low, self.ends[0]), torch.maximum(high, self.ends[1])
        self.mean.update(torch.stack([low, high]))
