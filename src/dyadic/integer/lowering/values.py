"""What a network's values are while it is lowered, and the operations that quantizers make of them.

    Codes    an integer tensor of the program and its real scale
    Pending  accumulators of a layer: real value = factor[c] * acc + shift[c], with factor =
             multiplier * scales, waiting for the quantizer that gives them an output scale
    Product  products of two tensors' codes, waiting
    Table    a function of one code: a real value for each code, waiting
    Clamped  codes with limits that their own scale need not hold, waiting
    Image    the uint8 input, normalized but not yet quantized

Batch norm and other affine maps join what waits (so nothing is left in float, and power-of-two
weights stay what they are), and so do limits (ReLU, ReLU6); a quantizer turns it into one
operation: DN = multiplier * scales / S_out, the integer bias = round(shift / (multiplier *
scales)) (HAWQ-V3, section 3.1 and 3.2). An affine map of codes is a layer too, with one weight a
channel.

The bias is rounded to a unit of the accumulators. With weights of few bits that is coarse: for
ternary ones, half a unit moves a whole level of a channel across a boundary. So small weights are
multiplied by a power of two first, up to the signed byte that every kernel multiplies by anyway.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import torch
from torch import fx, nn

from dyadic.errors import UserError
from dyadic.integer.lowering.cells import CodeSteps, level_integers
from dyadic.integer.program import operations as ops
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.network.forms import two
from dyadic.network.weights import latent_weight, weight_quantization
from dyadic.quantizers.codebook import Codebook

PIXEL_SHIFT = 8  # pixels enter as 256ths, so that the mean is subtracted to 1/256 of a pixel
LARGEST_BYTE = 127
UNIT_WEIGHT = 64  # the weight of an affine map: its bias is exact to 1/64 of a code
SMALLEST_RATIO = 2.0**-40  # a channel that batch norm switched off (multiplier 0) counts as this


@dataclass(frozen=True)
class Codes:
    """An integer tensor: real value = scale * integer; lo and hi its ends, where they are known."""

    name: str
    scale: float
    lo: int | None = None
    hi: int | None = None


@dataclass(frozen=True)
class Waiting:
    """A value that a quantizer will give codes, then limited to low .. high."""

    low: float = field(default=-np.inf, kw_only=True)
    high: float = field(default=np.inf, kw_only=True)

    @property
    def limited(self) -> bool:
        """Whether limits were set; an affine map would come too late."""
        return bool(np.isfinite([self.low, self.high]).any())

    def clamp(self, low: float, high: float) -> Self:
        """The value within further limits."""
        low, high = (float(np.clip(end, self.low, self.high)) for end in (low, high))
        return replace(self, low=low, high=high)

    def ends(self, steps: CodeSteps) -> tuple[int, int]:
        """The quantizer's ends, cut to the limits: rounding is monotone, so the order is free."""
        low, high = (
            np.clip(end / steps.scale, steps.lo, steps.hi) for end in (self.low, self.high)
        )
        return int(np.floor(low + 0.5)), int(np.floor(high + 0.5))

    def operation(self, name: str, steps: CodeSteps) -> ops.Operation:
        """The operation that a quantizer makes of the value."""
        raise NotImplementedError


@dataclass(frozen=True)
class Pending(Waiting):
    """A layer's accumulators: real value = factor[c] * acc + shift[c]."""

    layer: fx.Node
    module: nn.Conv2d | nn.Linear
    source: Codes
    weights: ops.Weights
    factor: np.ndarray
    shift: np.ndarray

    @classmethod
    def affine_of(cls, layer: fx.Node, source: Codes, channels: int, rank: int) -> Self:
        """Codes as a layer: a convolution of 1x1 for each channel, or a diagonal matrix."""
        if rank == 3:
            module, shape = nn.Conv2d(1, channels, 1, groups=1, device="meta"), (channels, 1, 1, 1)
            module.groups, module.in_channels = channels, channels
            codes, levels = np.zeros(shape, np.uint8), [UNIT_WEIGHT]
        else:
            module = nn.Linear(channels, channels, device="meta")
            codes, levels = np.eye(channels, dtype=np.uint8), [0, UNIT_WEIGHT]
        weights = ops.Weights(codes, np.array(levels, np.int64), 1)
        factor = np.full(channels, source.scale / UNIT_WEIGHT)
        return cls(layer, module, source, weights, factor, np.zeros(channels))

    def affine(self, multiplier: np.ndarray, shift: np.ndarray) -> Self:
        """multiplier[c] * value + shift[c]."""
        factor, shift = self.factor * multiplier, self.shift * multiplier + shift
        return replace(self, factor=factor, shift=shift)

    def operation(self, name: str, steps: CodeSteps) -> ops.Linear:
        """The layer with its requantizer: DN = factor / S_out and the integer bias."""
        ratio = self.factor / steps.scale
        ratio = np.where(np.abs(ratio) < SMALLEST_RATIO, np.copysign(SMALLEST_RATIO, ratio), ratio)
        bias = np.round(self.shift / steps.scale / ratio).astype(np.int64)
        even, odd = pair(ratio) if self.weights.levels.ndim == 2 else (dyadic(ratio), None)
        common = (name, (self.source.name,), self.weights, bias, even, *self.ends(steps))
        if isinstance(self.module, nn.Linear):
            return ops.Linear(*common, odd=odd)
        conv = self.module
        return ops.Conv(
            *common,
            odd=odd,
            stride=two(conv.stride),
            padding=_padding(str(self.layer.target), conv),
            dilation=two(conv.dilation),
            groups=conv.groups,
        )


@dataclass(frozen=True)
class Product(Waiting):
    """Products of codes: real value = factor * (x * y)."""

    x: Codes
    y: Codes
    factor: float

    def operation(self, name: str, steps: CodeSteps) -> ops.Multiply:
        """One requantizer for all."""
        scale = dyadic(self.factor / steps.scale)
        return ops.Multiply(name, (self.x.name, self.y.name), scale, *self.ends(steps))


@dataclass(frozen=True)
class Clamped(Waiting):
    """Codes within limits."""

    source: Codes

    def operation(self, name: str, steps: CodeSteps) -> ops.Requantize:
        """The limits join the codes' way to another scale."""
        scale = dyadic(self.source.scale / steps.scale)
        return ops.Requantize(name, (self.source.name,), scale, *self.ends(steps))


@dataclass(frozen=True)
class Table(Waiting):
    """A function of codes: values[k] is its real value for code source.lo + k."""

    source: Codes
    values: torch.Tensor  # float64 [K]

    @classmethod
    def of(cls, name: str, source: Codes) -> Self:
        """The codes' own values."""
        if source.lo is None or source.hi is None or source.hi - source.lo > 255:
            raise UserError(f"{name}: a table needs codes of at most 8 bits; see deploy")
        return cls(source, torch.arange(source.lo, source.hi + 1).double() * source.scale)

    def clamp(self, low: float, high: float) -> Self:
        """At once: what follows may be any function."""
        return self.map(lambda values: values.clamp(low, high))

    def map(self, function: Callable[[torch.Tensor], torch.Tensor]) -> Self:
        """A further function of the value."""
        return replace(self, values=function(self.values))

    def lookup(self, name: str, book: Codebook) -> tuple[ops.Lookup, float]:
        """The codebook's own choice for each value, and the real value of one of its integers."""
        integers, scale = level_integers(book)
        codes = book.quantize(self.values).cpu().numpy()
        assert self.source.lo is not None
        return ops.Lookup(name, (self.source.name,), self.source.lo, integers[codes]), scale


@dataclass(frozen=True)
class Image(Waiting):
    """The pixels: real value = (pixel / 255 - mean[c]) / std[c]."""

    mean: np.ndarray
    std: np.ndarray

    def affine(self, multiplier: np.ndarray, shift: np.ndarray) -> Self:
        """multiplier[c] * value + shift[c]; no multiplier is 0."""
        std = self.std / multiplier
        return replace(self, mean=self.mean - shift * std, std=std)

    def operation(self, name: str, steps: CodeSteps) -> ops.Normalize:
        """(pixel / 255 - mean) / std in steps of S_out, per channel, from 256ths of a pixel."""
        fine = 255.0 * 2**PIXEL_SHIFT
        bias = np.round(-self.mean * fine).astype(np.int64)
        scale: ops.Dyadic = dyadic(1 / (self.std * fine * steps.scale))
        return ops.Normalize(name, ("input",), bias, scale, *self.ends(steps))


Value = Codes | Pending | Product | Clamped | Table | Image


def integer_weights(name: str, module: nn.Conv2d | nn.Linear) -> tuple[ops.Weights, np.ndarray]:
    """A layer's weight codes and its real scale per output channel, float64 [O].

    The levels are the codebook's integers times the largest power of two that keeps them in a byte.
    """
    quantization = weight_quantization(module)
    if quantization is None:
        raise UserError(
            f"{name}: its weights are float; quantize them, or give the deployment weight_bits"
        )
    with torch.no_grad():
        weight = module.weight
        book = quantization.codebook(latent_weight(module))
        codes = book.quantize(weight)
        if not torch.equal(book.dequantize(codes).to(weight.dtype), weight):
            raise UserError(f"{name}: some weights are not on their codebook; finish the schedule")
    codes, scale = codes.cpu().numpy(), to_numpy(book.scale)
    if scale.size != 1 and scale.shape != (len(codes), *[1] * (codes.ndim - 1)):
        raise UserError(f"{name}: weight scales of shape {scale.shape}; one per output channel")
    levels = book.integers.cpu().numpy().astype(np.int64)
    finer = 1 << max(int(np.log2(LARGEST_BYTE / np.abs(levels).max())), 0)
    kind = np.uint8 if levels.shape[-1] <= 256 else np.uint16
    spread = np.broadcast_to(scale.reshape(-1), len(codes)) / finer
    return ops.Weights(codes.astype(kind), levels * finer, book.bits), spread


def _padding(name: str, conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UserError(f"{name}: padding {conv.padding!r}, {conv.padding_mode}; only zeros")
    return two(conv.padding)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's values, float64."""
    return tensor.detach().double().cpu().numpy()
