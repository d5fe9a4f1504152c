"""Learned ranges: PACT (Choi et al. 2018) and LSQ (Esser et al. 2020), per tensor.

The size of the range is a parameter of the network: the task's loss moves it. It starts from the
first tensor that is seen.
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from dyadic.quantizers.codebook import octave, positive, widened
from dyadic.quantizers.quantizer import Quantizer, check_bits, to_fit
from dyadic.quantizers.statistics import Remembered
from dyadic.quantizers.straight_through import identity
from dyadic.quantizers.uniform import symmetric_limits
from dyadic.quantizers.uniform_codebook import UniformCodebook, representable


class LearnedQuantizer(Quantizer):
    """A uniform quantizer whose range or step, `size`, is trained; the gradient is its own."""

    def __init__(self, bits: int, signed: bool, narrow: bool) -> None:
        check_bits(type(self).__name__, bits, 2 if signed else 1)
        super().__init__(bits, signed)
        lo, hi, _ = symmetric_limits(bits, narrow)
        self.lo, self.hi = (lo, hi) if signed else (0, 2**bits - 1)
        self.size = nn.Parameter(torch.ones(()))
        self.started = Remembered()

    @abstractmethod
    def _start(self, x: Tensor) -> Tensor:
        """The size to start from, given the first tensor."""

    @abstractmethod
    def _scale(self, size: Tensor) -> Tensor:
        """The step that belongs to a size."""

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Start from the tensor x, unless there was one before."""
        if not self.started.known:
            self.size.copy_(positive(self._start(widened(x))))
            self.started.keep(torch.ones((), dtype=torch.bool, device=x.device))

    def codebook(self, x: Tensor | None = None) -> UniformCodebook:
        size = self.size.detach() if self.started.known else self._start(to_fit(self, x))
        return UniformCodebook(self._scale(size), self.lo, self.hi, self.bits)

    def forward(self, x: Tensor) -> Tensor:
        """Fake quantization with gradients to x and to the size."""
        self.observe(x.detach())
        return self._learn(widened(x), self.codebook())

    @abstractmethod
    def _learn(self, x: Tensor, book: UniformCodebook) -> Tensor:
        """The values of x, with the paper's gradients."""


class Pact(LearnedQuantizer):
    """PACT: y = clip(x, 0, alpha), quantized to 2^b - 1 steps (Eqs. 1 to 3); +-alpha where signed.

    d y / d x = 1 inside, 0 outside; d y / d alpha = 1 for x >= alpha, 0 elsewhere (the rounding
    passes gradients). The paper decays alpha with the weights. It starts from max |x|.

    bits  1 .. 16; 2 .. 16 where signed

    >>> Pact(bits=2)(torch.tensor([-1.0, 0.9, 3.0])).tolist()
    [0.0, 1.0, 3.0]
    """

    def __init__(self, bits: int, signed: bool = False) -> None:
        super().__init__(bits, signed, narrow=True)

    def _start(self, x: Tensor) -> Tensor:
        return (x.abs() if self.signed else x).amax()

    def _scale(self, size: Tensor) -> Tensor:
        return size.abs() / self.hi

    def _learn(self, x: Tensor, book: UniformCodebook) -> Tensor:
        alpha = self.size.abs()
        lowest = -alpha if self.signed else torch.zeros_like(alpha)
        surrogate = torch.maximum(torch.minimum(x, alpha), lowest)
        with torch.no_grad():
            value = book(x)
        return identity(surrogate, value, book)


class Lsq(LearnedQuantizer):
    """LSQ: a learned step s; v^ = round(clip(v / s, -Q_N, Q_P)) * s (Eqs. 1 to 3).

    d v^ / d v = 1 inside, 0 outside; d v^ / d s = round(v/s) - v/s inside, -Q_N or Q_P outside,
    times g = 1 / sqrt(N Q_P) with N the number of weights, or of features: the values of one image
    (section 2.2). It starts from 2 mean|v| / sqrt(Q_P).

    bits     2 .. 16; 1 .. 16 where not signed; the full range of the two's complement
    batched  the first axis counts images (activations)

    >>> Lsq(bits=2)(torch.tensor([-1.0, 0.2, 1.0]))
    tensor([-1.4667,  0.0000,  1.4667], grad_fn=<MulBackward0>)
    """

    def __init__(self, bits: int, signed: bool = True, batched: bool = False) -> None:
        super().__init__(bits, signed, narrow=False)
        self.batched = batched

    def _start(self, x: Tensor) -> Tensor:
        unit = octave(x)
        step = 2 * (x / unit).abs().mean() / self.hi**0.5 * unit
        return representable(step, largest=1)

    def _scale(self, size: Tensor) -> Tensor:
        return size.abs()

    def _learn(self, x: Tensor, book: UniformCodebook) -> Tensor:
        size = self.size.abs()
        gain = ((x[0] if self.batched else x).numel() * self.hi) ** -0.5
        step = identity(size * gain, book.scale, book)
        ratio = (x / step).clamp(self.lo, self.hi)
        with torch.no_grad():
            level = (book.quantize(x) + self.lo).to(x.dtype)
        return identity(ratio, level, book) * step
