"""The integer program: a short list of integer operations with integer weights.

A program starts at uint8 pixels and ends in int32 logits on one common scale. Every tensor holds
integers with zero point 0; every rescaling is `clamp((x * b + 2**(c - 1)) >> c, lo, hi)` with the
product in 64 bits and an arithmetic shift, so ties round half up (`dyadic.integer.program.dyadic`).

Tensors are named by the operation that makes them, in NCHW order; the first is "input". Operations
stand in execution order.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

INT32 = (-(2**31), 2**31 - 1)
ZEROS = -1  # the channel of zeros
SMALL = 2**14  # weights below it are held in 16 bits


@dataclass(frozen=True)
class Dyadic:
    """Dyadic numbers `b / 2**c`, one for the tensor (shape [1]) or one per channel (shape [C]).

    |b| < 2**31 and 0 <= c <= 62 (HAWQ-V3, section 3.1). `dyadic.integer.program.dyadic`
    makes |b| at least 2**30, but where x is below 2**-32 (c stays 62) and for the smaller number
    of a pair.
    """

    b: np.ndarray  # int64 [1] or [C]
    c: np.ndarray  # int64 [1] or [C]


@dataclass(frozen=True)
class Weights:
    """Integer weights as stored: `bits`-bit indices into a short list of integers.

    codes  uint8 or uint16, [O, I/groups, kh, kw] for Conv, [O, I] for Linear
    levels int64 [K], ascending; or [2, K] for weights a + b * sqrt(2) (rows: a, b)
    """

    codes: np.ndarray
    levels: np.ndarray
    bits: int

    @cached_property
    def planes(self) -> tuple[np.ndarray, ...]:
        """The integers themselves, shaped like codes: (w,) or (a, b) of a + b * sqrt(2).

        Unfolded once and kept. int16 where it holds twice their size, for room to add and negate;
        otherwise int64.
        """
        small = self.levels.min(initial=0) > -SMALL and self.levels.max(initial=0) < SMALL
        rows = np.atleast_2d(self.levels).astype(np.int16 if small else np.int64)
        return tuple(row[self.codes] for row in rows)


@dataclass(frozen=True)
class Operation:
    """One operation: its name is the name of the tensor that it makes."""

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Normalize(Operation):
    """Pixels to the first codes: `requantize((pixel << 8) + bias[c], scale[c])`, per channel."""

    bias: np.ndarray  # int64 [C]
    scale: Dyadic
    lo: int
    hi: int


@dataclass(frozen=True)
class Linear(Operation):
    """`requantize(w @ x + bias, scale)`.

    With weights a + b sqrt(2) there are two accumulators A and B, and one rounding:
    `clamp((A * scale.b + B * odd.b + 2**(c - 1)) >> c, lo, hi)` with the same c in scale and odd.
    The bias belongs to the first accumulator. `odd.b` need not be normalized to 2**30.
    """

    weights: Weights
    bias: np.ndarray  # int64 [O]
    scale: Dyadic
    lo: int
    hi: int
    odd: Dyadic | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Conv(Linear):
    """Like Linear, over windows; zero padding."""

    stride: tuple[int, int] = field(default=(1, 1), kw_only=True)
    padding: tuple[int, int] = field(default=(0, 0), kw_only=True)
    dilation: tuple[int, int] = field(default=(1, 1), kw_only=True)
    groups: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Requantize(Operation):
    """`clamp((x * b + 2**(c - 1)) >> c, lo, hi)`: to another scale, per tensor."""

    scale: Dyadic
    lo: int
    hi: int


@dataclass(frozen=True)
class Threshold(Operation):
    """`values[number of thresholds <= x]`: any monotone quantizer, exactly (codes of a codebook).

    thresholds int64 [K - 1] ascending, values int64 [K] ascending.
    """

    thresholds: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Add(Operation):
    """`clamp(x + y, lo, hi)` in int32; lo = 0 is a ReLU. Both inputs are on one scale."""

    lo: int
    hi: int


@dataclass(frozen=True)
class Relu(Operation):
    """`max(x, 0)`, where no requantizer or addition could take it in."""


@dataclass(frozen=True)
class Concat(Operation):
    """Channels one after another; the inputs are on one scale."""


@dataclass(frozen=True)
class MaxPool(Operation):
    """Largest value of each window; padding never wins."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    ceil: bool


@dataclass(frozen=True)
class SumPool(Operation):
    """Sum of each window, zeros in the padding; an average's division is in the next scale.

    counted  what a window divides by: "kernel", its whole area: the sum alone. Or how many of its
             positions lie in the padded image ("padded": PyTorch's ceil_mode) or in the image
             itself ("image": count_include_pad=False): `sum * (L / count)`, with L the least common
             multiple of all windows' counts, so that one divisor L serves all
             (`dyadic.integer.program.windows`).
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    ceil: bool = False
    counted: str = "kernel"


@dataclass(frozen=True)
class AdaptiveSumPool(Operation):
    """Sums over a grid of `size` (rows, columns), whatever the input's: adaptive average pooling.

    Window i of n pixels cut into o: [floor(i n / o), ceil((i + 1) n / o)). They may overlap and
    differ in size: `sum * (L / count)` as in `SumPool`; the next scale divides by L.
    """

    size: tuple[int, int]


@dataclass(frozen=True)
class Repeat(Operation):
    """Each pixel repeated (rows, columns) times: adaptive pooling to a larger grid."""

    times: tuple[int, int]


@dataclass(frozen=True)
class Lookup(Operation):
    """`values[x - lo]`: any function of one code of at most 8 bits (hard-swish, SiLU, sigmoid).

    values int64 [K], int32 numbers; the proof demands lo <= x < lo + K.
    """

    lo: int
    values: np.ndarray


@dataclass(frozen=True)
class Multiply(Operation):
    """`requantize(x * y, scale)`, per tensor: the gate of squeeze-and-excite.

    Each axis of y has x's size or 1; [C] stands for [C, 1, 1].
    """

    scale: Dyadic
    lo: int
    hi: int


@dataclass(frozen=True)
class Select(Operation):
    """Output channel i is input channel `channels[i]`, zeros where that is -1 (`ZEROS`).

    Slices, splits, permutations, channel shuffles, channels padded with zeros. int64 [C].
    """

    channels: np.ndarray


@dataclass(frozen=True)
class Pad(Operation):
    """Zeros around the image: (left, right, top, bottom) columns and rows; negative: cut off."""

    padding: tuple[int, int, int, int]


@dataclass(frozen=True)
class Flatten(Operation):
    """[C, H, W] to [C * H * W]."""


@dataclass(frozen=True)
class Program:
    """Operations from "input" (uint8 [C, H, W]) to the logits, the last operation's tensor.

    `logit_scale` is the real value of one logit step: for reports, never used in a computation.
    `note` says what the user should know, for example that 8-bit activations were added.
    """

    name: str
    input_shape: tuple[int, int, int]
    operations: tuple[Operation, ...]
    logit_scale: float
    note: str = ""
