"""A program put together by random numbers, operation by operation."""

from dataclasses import dataclass, field

import numpy as np

from dyadic.integer.program.bounds import prove
from dyadic.integer.program.dyadic import dyadic, pair
from dyadic.integer.program.operations import (
    Conv,
    Flatten,
    Linear,
    Operation,
    Program,
    Requantize,
    Weights,
)
from dyadic.integer.program.requirements import Shape


@dataclass
class Parts:
    """A program in the making; layers and rescalings, each method returns its operation's name."""

    rng: np.random.Generator
    input_shape: tuple[int, int, int]
    operations: list[Operation] = field(default_factory=list)

    def name(self) -> str:
        """Every kind of name that PyTorch allows."""
        number = len(self.operations)
        return ("t{}", "{}", "ü.{}", "block1-{} x")[number % 4].format(number)

    def add(self, operation: Operation) -> str:
        self.operations.append(operation)
        return operation.name

    def proof(self):
        """Proof of what is there so far, closed with a Flatten."""
        last = self.operations[-1].name
        return prove(self.program(Flatten("closed", (last,))))

    def program(self, *more: Operation) -> Program:
        return Program("random", self.input_shape, (*self.operations, *more), 1.0)

    def shape(self, name: str) -> Shape:
        return self.proof().shapes[name] if self.operations else self.input_shape

    def span(self, name: str) -> int:
        lo, hi = self.proof().ranges[name] if self.operations else (0, 255)
        return max(-lo, hi, 1)

    def choice(self, *options):
        return options[self.rng.integers(len(options))]

    def clamp(self) -> tuple[int, int]:
        bits = int(self.rng.integers(2, 9))
        return self.choice(
            (0, 2**bits - 1),
            (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
            (-(2**15), 2**15 - 1),
            (0, 1000),
            (-3, 200),
        )

    def weights(self, shape: Shape, planes: int) -> Weights:
        """Uniform, power-of-two, or arbitrary integers of up to 16 bits."""
        rng = self.rng
        if planes == 2:
            integers = 1 << np.arange(int(rng.integers(1, 5)))
            zeros = np.zeros_like(integers)
            rows = np.stack([np.stack([integers, zeros]), np.stack([zeros, integers])], axis=2)
            half = rows.reshape(2, -1)
            levels = np.concatenate([-half[:, ::-1], np.zeros((2, 1), np.int64), half], axis=1)
        else:
            bits = int(rng.integers(1, 9))
            shifts = 1 << np.arange(int(rng.integers(1, 10)))
            levels = self.choice(
                np.arange(-(2 ** (bits - 1)), 2 ** (bits - 1)),
                np.concatenate([-shifts[::-1], [0], shifts]),
                np.array([-1, 1]),
                np.unique(rng.integers(-(2**15), 2**15, 2**bits)),
            )
        count = levels.shape[-1]
        codes = rng.integers(0, count, shape).astype(self.choice(np.uint8, np.uint16))
        if count > 256:
            codes = codes.astype(np.uint16)
        return Weights(codes, levels, max(1, int(count - 1).bit_length()))

    def layer(self, name: str, kind: type[Linear], shape: Shape, hi: int | None = None, **extra):
        """A Conv or Linear whose outputs use most of its clamp."""
        rng, (outputs, *rest) = self.rng, shape
        weights = self.weights(shape, planes=int(rng.integers(1, 3)))
        reach = self.span(name) * float(np.abs(weights.levels).max()) * np.sqrt(np.prod(rest))
        bounds = self.clamp() if hi is None else (-hi, hi)
        ratio = (bounds[1] - bounds[0]) / reach * rng.uniform(0.2, 2, self.choice(1, outputs))
        ratio = ratio * rng.choice([-1, 1, 1, 1], ratio.shape)
        bias = rng.integers(-int(reach) - 1, int(reach) + 1, outputs)
        zero = np.flatnonzero((np.atleast_2d(weights.levels) == 0).all(axis=0))
        if rng.random() < 0.2 and zero.size:
            # A channel that is switched off: a narrow accumulator with a scale above 1.
            weights.codes[0], bias[0] = zero[0], rng.integers(-50, 50)
            ratio = np.broadcast_to(ratio, outputs).copy()
            ratio[0] = rng.uniform(1, 1000)
        scale, odd = (dyadic(ratio), None) if weights.levels.ndim == 1 else pair(ratio)
        return self.add(kind(self.name(), (name,), weights, bias, scale, *bounds, odd=odd, **extra))

    def conv(self, name: str, outputs: int | None = None, same_size: bool = False) -> str:
        rng, (channels, *size) = self.rng, self.shape(name)
        groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = outputs or groups * int(rng.integers(1, 5))
        groups = groups if outputs % groups == 0 else 1
        kernel = [int(rng.integers(1, 4)) for _ in size]
        dilation = [int(rng.integers(1, 3)) for _ in size]
        if same_size:
            kernel, stride = [int(rng.choice([1, 3])) for _ in size], (1, 1)
            padding = [d * (k // 2) for d, k in zip(dilation, kernel, strict=True)]
        else:
            stride = tuple(int(rng.integers(1, 3)) for _ in size)
            reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
            # At least what makes the window fit into the padded image.
            least = [max(0, -(-(r - n) // 2)) for r, n in zip(reach, size, strict=True)]
            padding = [p + int(rng.integers(0, 3)) for p in least]
        return self.layer(
            name,
            Conv,
            (outputs, channels // groups, *kernel),
            stride=stride,
            padding=tuple(padding),
            dilation=tuple(dilation),
            groups=groups,
        )

    def requantize(self, name: str, bound: int) -> str:
        ratio = bound / self.span(name) * self.rng.uniform(0.2, 1.5) * self.choice(1, 1, -1)
        return self.add(Requantize(self.name(), (name,), dyadic(ratio), -bound, bound))
