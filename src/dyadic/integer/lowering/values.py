"""What a network's values are while it is lowered, and the operations that quantizers make of them.

    Codes    an integer tensor of the program and its real scale
    Pending  accumulators of a layer: real value = factor[c] * acc + shift[c], with factor =
             multiplier * scales, waiting for the quantizer that gives them an output scale
    Image    the uint8 input, normalized but not yet quantized

Batch norm joins `Pending` (so nothing is left in float, and power-of-two weights stay what they
are); a quantizer turns `Pending` into one operation: DN = multiplier * scales / S_out, the integer
bias = round(shift / (multiplier * scales)) (HAWQ-V3, section 3.1 and 3.2).

The bias is rounded to a unit of the accumulators. With weights of few bits that is coarse: for
ternary ones, half a unit moves a whole level of a channel across a boundary. So small weights are
multiplied by a power of two first, up to the signed byte that every kernel multiplies by anyway.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dyadic.errors import UserError
from dyadic.integer.lowering.cells import Steps
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import Conv, Dyadic, Linear, Normalize, Weights
from dyadic.network.weights import latent_weight, weight_quantization

PIXEL_SHIFT = 8  # pixels enter as 256ths, so that the mean is subtracted to 1/256 of a pixel
LARGEST_BYTE = 127
SMALLEST_RATIO = 2.0**-40  # a channel that batch norm switched off (multiplier 0) counts as this


@dataclass(frozen=True)
class Codes:
    """An integer tensor: real value = scale * integer."""

    name: str
    scale: float


@dataclass(frozen=True)
class Pending:
    """A layer's accumulators: real value = factor[c] * acc + shift[c], then perhaps a ReLU."""

    layer: str
    module: nn.Conv2d | nn.Linear
    source: Codes
    weights: Weights
    factor: np.ndarray
    shift: np.ndarray
    relu: bool = False


@dataclass(frozen=True)
class Image:
    """The pixels: real value = (pixel / 255 - mean[c]) / std[c]."""

    mean: np.ndarray
    std: np.ndarray


Value = Codes | Pending | Image


def integer_weights(name: str, module: nn.Conv2d | nn.Linear) -> tuple[Weights, np.ndarray]:
    """A layer's weight codes and its real scale per output channel, float64 [O].

    The levels are the codebook's integers times the largest power of two that keeps them in a byte.
    """
    quantization = weight_quantization(module)
    if quantization is None:
        raise UserError(f"{name}: its weights are float; deploy.weight_bits gives them codes")
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
    return Weights(codes.astype(kind), levels * finer, book.bits), spread


def weight_operation(value: Pending, steps: Steps) -> Linear:
    """The layer with its requantizer: DN = factor / S_out and the integer bias."""
    ratio = value.factor / steps.scale
    ratio = np.where(np.abs(ratio) < SMALLEST_RATIO, np.copysign(SMALLEST_RATIO, ratio), ratio)
    bias = np.round(value.shift / steps.scale / ratio).astype(np.int64)
    lo = max(steps.lo, 0) if value.relu else steps.lo
    even, odd = pair(ratio) if value.weights.levels.ndim == 2 else (dyadic(ratio), None)
    common = (value.layer, (value.source.name,), value.weights, bias, even, lo, steps.hi)
    if isinstance(value.module, nn.Linear):
        return Linear(*common, odd=odd)
    conv = value.module
    return Conv(
        *common,
        odd=odd,
        stride=_pair(conv.stride),
        padding=_padding(value.layer, conv),
        dilation=_pair(conv.dilation),
        groups=conv.groups,
    )


def normalize_operation(name: str, image: Image, steps: Steps) -> Normalize:
    """(pixel / 255 - mean) / std in steps of S_out, per channel, from 256ths of a pixel."""
    fine = 255.0 * 2**PIXEL_SHIFT
    bias = np.round(-image.mean * fine).astype(np.int64)
    scale: Dyadic = dyadic(1 / (image.std * fine * steps.scale))
    return Normalize(name, ("input",), bias, scale, steps.lo, steps.hi)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def _padding(name: str, conv: nn.Conv2d) -> tuple[int, int]:
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UserError(f"{name}: padding {conv.padding!r}, {conv.padding_mode}; only zeros")
    return _pair(conv.padding)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """A tensor's values, float64."""
    return tensor.detach().double().cpu().numpy()
