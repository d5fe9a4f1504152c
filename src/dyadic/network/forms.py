"""The operations of a graph that PyTorch has no module for, as modules.

After reading, a graph calls modules, `operator.add`, `operator.mul` and `torch.cat`, nothing else.
Data movement and constants, however they were spelled, are the modules here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ZEROS = -1  # in `Select`: a channel of zeros


def two(value: int | Sequence[int]) -> tuple[int, int]:
    """What holds for rows and for columns, of one number or of two."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


class Constant(nn.Module):
    """A constant or parameter that broadcasts over images, and over pixels or not at all.

    value is shared with the user's network where it is a parameter of it, and so it trains.
    """

    value: Tensor

    def __init__(self, value: Tensor, shape: Sequence[int]) -> None:
        super().__init__()
        if isinstance(value, nn.Parameter):
            self.value = value
        else:
            self.register_buffer("value", value.detach().clone())
        self.shape = tuple(shape)

    @property
    def shaped(self) -> Tensor:
        """The value as it meets a tensor [N, C, H, W] or [N, C]."""
        return self.value.reshape(self.shape)

    def channels(self) -> Tensor:
        """The values, float64 [1] or [C]."""
        return self.value.detach().double().flatten()


class Scale(Constant):
    """x * value."""

    def forward(self, x: Tensor) -> Tensor:
        return x * self.shaped


class Shift(Constant):
    """x + factor * value."""

    def __init__(self, value: Tensor, shape: Sequence[int], factor: float = 1.0) -> None:
        super().__init__(value, shape)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, self.shaped, alpha=self.factor)

    def channels(self) -> Tensor:
        return super().channels() * self.factor


class Elementwise(nn.Module):
    """Any function of single values: an ATen operator with further constant arguments."""

    def __init__(self, function: Callable[..., Tensor], *arguments: Any) -> None:
        super().__init__()
        self.function, self.arguments = function, arguments

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.arguments)

    def extra_repr(self) -> str:
        return f"{self.function}, {self.arguments}"

    def __deepcopy__(self, memo: dict[int, Any]) -> "Elementwise":
        return self  # an operator cannot be copied, and nothing here ever changes


class Select(nn.Module):
    """Channels (or features) in another order, some of them, some twice; ZEROS gives zeros.

    >>> Select([1, ZEROS])(torch.tensor([[5.0, 6.0]]))
    tensor([[6., 0.]])
    """

    channels: Tensor

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("channels", torch.tensor(channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        chosen = x[:, self.channels.clamp(min=0)]
        empty = (self.channels == ZEROS).view(1, -1, *[1] * (x.ndim - 2))
        return chosen.masked_fill(empty, 0.0)


class Pad(nn.Module):
    """Zeros around the pixels: (left, right, top, bottom); negative numbers cut off."""

    def __init__(self, padding: Sequence[int]) -> None:
        super().__init__()
        self.padding = tuple(padding)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.padding)


class Repeat(nn.Module):
    """Each pixel repeated (rows, columns) times: nearest upsampling."""

    def __init__(self, times: tuple[int, int]) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.times
        return x.repeat_interleave(rows, dim=2).repeat_interleave(columns, dim=3)


class Pixels(nn.Module):
    """Features [N, C] as one pixel, [N, C, 1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, None, None]
