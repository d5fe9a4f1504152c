"""Random small programs: every operation, odd shapes, all widths. One integer seeds one program."""

import numpy as np
from hypothesis import strategies as st
from tests.integer.building import Parts

from dyadic.integer.program.dyadic import dyadic
from dyadic.integer.program.operations import (
    INT32,
    ZEROS,
    AdaptiveSumPool,
    Add,
    Concat,
    Flatten,
    Linear,
    Lookup,
    MaxPool,
    Multiply,
    Normalize,
    Pad,
    Program,
    Relu,
    Repeat,
    Requantize,
    Select,
    SumPool,
    Threshold,
)
from dyadic.integer.program.windows import pool_positions


class Builder(Parts):
    """Every other operation."""

    def residual(self, name: str) -> str:
        """Two branches, each rounded on its own, then added (HAWQ-V3, section 3.3)."""
        bound = self.choice(127, 2**15 - 1, 2**20)
        branch = self.conv(name, outputs=self.shape(name)[0], same_size=True)
        sides = (self.requantize(branch, bound), self.requantize(name, bound))
        lo, hi = self.choice((0, bound), INT32, (-bound, bound))
        return self.add(Add(self.name(), sides, lo, hi))

    def concat(self, name: str) -> str:
        sides = [self.conv(name, same_size=True), self.requantize(name, 100), name]
        return self.add(Concat(self.name(), tuple(sides[: self.choice(2, 3)])))

    def threshold(self, name: str) -> str:
        levels, span = int(self.rng.integers(2, 20)), self.span(name)
        thresholds = np.unique(self.rng.integers(-span, span + 1, levels))
        values = np.sort(self.rng.integers(-300, 300, len(thresholds) + 1))
        return self.add(Threshold(self.name(), (name,), thresholds, values))

    def pool(self, name: str) -> str:
        size = self.shape(name)[1:]
        kernel = tuple(int(self.rng.integers(1, min(n, 3) + 1)) for n in size)
        stride = tuple(int(self.rng.integers(1, 4)) for _ in size)
        padding = tuple(int(self.rng.integers(0, k // 2 + 1)) for k in kernel)
        ceil = bool(self.rng.integers(2))
        if self.rng.random() < 0.5:
            counted = self.choice("kernel", "padded", "image")
            window = (kernel, stride, padding, ceil, counted)
            return self.add(SumPool(self.name(), (name,), *window))
        assert (
            min(
                pool_positions(*axis, ceil)
                for axis in zip(size, kernel, stride, padding, strict=True)
            )
            > 0
        )
        return self.add(MaxPool(self.name(), (name,), kernel, stride, padding, ceil))

    def adaptive(self, name: str) -> str:
        size = tuple(int(n) for n in self.rng.integers(1, 8, 2))
        return self.add(AdaptiveSumPool(self.name(), (name,), size))

    def lookup(self, name: str) -> str:
        """A table of a code of 8 bits, or of a narrower one that it exceeds on both sides."""
        lo, hi = self.choice((-128, 127), (0, 255), (-3, 4))
        ratio = 1.5 * hi / self.span(name)
        code = self.add(Requantize(self.name(), (name,), dyadic(ratio), lo, hi))
        values = self.rng.integers(-self.choice(7, 2000), self.choice(1, 2000), 256)
        first = int(self.rng.integers(hi - 255, lo + 1))
        return self.add(Lookup(self.name(), (code,), first, values))

    def multiply(self, name: str) -> str:
        """A gate for each channel, for each pixel or for each element."""
        channels, *size = self.shape(name)
        x = self.requantize(name, 2**15 - 1)
        kernel = self.choice(size, (1, size[1]), (1, 1))
        pooled = self.add(SumPool(self.name(), (x,), tuple(kernel), (1, 1), (0, 0)))
        if self.rng.random() < 0.3:
            pooled = self.conv(pooled, outputs=self.choice(1, channels), same_size=True)
        gate = self.requantize(pooled, self.choice(127, 2**15))
        if self.shape(gate)[1:] == (1, 1) and self.rng.random() < 0.5:
            gate = self.add(Flatten(self.name(), (gate,)))
            gate = self.gate_of(gate, channels)
        ratio = 1000 / self.span(x) / self.span(gate) * self.choice(1, 1, -1)
        scale = dyadic(ratio * self.rng.uniform(0.2, 2))
        return self.add(Multiply(self.name(), (x, gate), scale, *self.clamp()))

    def gate_of(self, name: str, channels: int) -> str:
        """A fully connected layer to [C], where the features are another number."""
        if self.shape(name) == (channels,):
            return name
        return self.layer(name, Linear, (channels, *self.shape(name)), hi=127)

    def select(self, name: str) -> str:
        channels = self.shape(name)[0]
        chosen = self.rng.integers(ZEROS, channels, int(self.rng.integers(1, 7)))
        chosen = self.choice(chosen, self.rng.permutation(channels), np.arange(0, channels, 2))
        return self.add(Select(self.name(), (name,), chosen))

    def pad(self, name: str) -> str:
        padding = tuple(int(n) for n in self.rng.integers(-1, 3, 4))
        return self.add(Pad(self.name(), (name,), self.choice(padding, (0, 1, 0, 2))))

    def repeat(self, name: str) -> str:
        times = tuple(int(t) for t in self.rng.integers(1, 3, 2))
        return self.add(Repeat(self.name(), (name,), times))

    def relu(self, name: str) -> str:
        return self.add(Relu(self.name(), (name,)))

    def normalize(self, name: str) -> str:
        channels = self.input_shape[0]
        scale = dyadic(self.rng.uniform(1, 2, self.choice(1, channels)) / 256)
        bias = self.rng.integers(-(2**16), 2**16, channels)
        return self.add(Normalize(self.name(), (name,), bias, scale, *self.clamp()))

    def wide(self, name: str) -> str:
        """Values too large for one word: the next accumulator needs more than 32 bits."""
        values = (1 << np.arange(18)) << self.choice(0, 4, 10)
        thresholds = np.sort(self.rng.integers(-self.span(name), self.span(name) + 1, 17))
        return self.conv(self.add(Threshold(self.name(), (name,), thresholds, values)))


STEPS = {
    "conv": 0.21, "residual": 0.13, "concat": 0.1, "threshold": 0.06, "pool": 0.12,
    "adaptive": 0.06, "lookup": 0.06, "multiply": 0.07, "select": 0.05, "pad": 0.03,
    "repeat": 0.02, "relu": 0.03, "wide": 0.06,
}  # fmt: skip


def random_program(seed: int) -> Program:
    """A program of 3 to about 12 operations on images of at most 4 x 9 x 9, ending in logits."""
    rng = np.random.default_rng(seed)
    builder = Builder(rng, (int(rng.integers(1, 5)), *rng.integers(3, 10, 2).tolist()))
    name = builder.normalize("input") if rng.random() < 0.7 else "input"
    for step in rng.choice(list(STEPS), int(rng.integers(1, 5)), p=list(STEPS.values())):
        if step == "pad" and min(builder.shape(name)[1:]) < 3:
            continue
        name = getattr(builder, step)(name)
        if builder.span(name) > 2**18:
            name = builder.requantize(name, 2**15)
    name = builder.add(Flatten(builder.name(), (name,)))
    classes = int(rng.integers(2, 8))
    builder.layer(name, Linear, (classes, *builder.shape(name)), hi=2**20)
    return builder.program()


def random_images(program: Program, count: int, seed: int = 0) -> np.ndarray:
    """Images, uint8 [count, C, H, W]: noise, and one all black and one all white."""
    images = np.random.default_rng(seed).integers(0, 256, (count, *program.input_shape), np.uint8)
    images[0], images[-1] = 0, 255
    return images


def programs() -> st.SearchStrategy[Program]:
    """Random programs as a strategy of hypothesis."""
    return st.integers(0, 2**32 - 1).map(random_program)
