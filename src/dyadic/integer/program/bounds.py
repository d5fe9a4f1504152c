"""Proofs about a program: the range of every tensor, the width of every accumulator.

A tensor's range is an interval that holds for every image. A layer's accumulator is bounded from
its integer weights and its input's interval, per output channel: with x in [l, h], l <= 0 <= h
(zero padding), every partial sum in any order lies between `sum(min(w l, w h))` and
`sum(max(w l, w h))`, the bias added before or after. That decides int32 or int64, or refuses the
program.
"""

from dataclasses import dataclass
from functools import singledispatch
from itertools import product

import numpy as np

from dyadic.integer.program import operations as ops
from dyadic.integer.program.dyadic import plain_limit, requantize, requantize_pair, split_limit
from dyadic.integer.program.requirements import Shape, require
from dyadic.integer.program.shapes import shapes
from dyadic.integer.program.windows import divisor

Range = tuple[int, int]
PIXELS = (0, 255)


@dataclass(frozen=True)
class Accumulator:
    """Bounds of every partial sum of a layer, bias included; no order of summation leaves them.

    lo, hi  int64 [planes, O]: a second plane for weights a + b sqrt(2)
    split   whether `acc * b` can pass 64 bits, so that acc is split in two words (`requantize`)
    """

    lo: np.ndarray
    hi: np.ndarray
    split: bool

    @property
    def largest(self) -> int:
        """Largest magnitude."""
        return max(-int(self.lo.min()), int(self.hi.max()))

    @property
    def bits(self) -> int:
        """Bits of the two's complement number that holds every partial sum."""
        return 1 + max(-1 - int(self.lo.min()), int(self.hi.max()), 0).bit_length()

    @property
    def dtype(self) -> str:
        """The accumulator that is wide enough: "int32" or "int64"."""
        return "int32" if self.bits <= 32 else "int64"


@dataclass(frozen=True)
class Proof:
    """A program and what is known of it before it runs, by tensor name; made once, by `prove`.

    shapes        of one image, "input" included
    ranges        interval of each tensor, "input" included; each fits int32
    accumulators  of each Conv and Linear
    """

    program: ops.Program
    shapes: dict[str, Shape]
    ranges: dict[str, Range]
    accumulators: dict[str, Accumulator]


def prove(program: ops.Program | Proof) -> Proof:
    """Check the whole program and bound it, in one pass; what is proved already stays as it is.

    So whatever takes a program (engines, exports, `save`) takes its proof in its place.

    Raises: ProgramError (one line, naming the operation) for everything that `shapes` refuses, for
    a tensor that does not fit int32, and for an accumulator whose rescaling cannot be made exact.
    """
    if isinstance(program, Proof):
        return program
    proof = Proof(program, shapes(program), {"input": PIXELS}, {})
    for operation in program.operations:
        if isinstance(operation, ops.Linear):
            proof.accumulators[operation.name] = _accumulator(
                operation, proof.ranges[operation.inputs[0]]
            )
        proof.ranges[operation.name] = _int32(_range(operation, proof), operation, "its range")
    return proof


def accumulator_bits(program: ops.Program | Proof) -> dict[str, int]:
    """Bits that each layer's accumulator needs, sign included: at most 32, or an int64 is used."""
    return {name: bound.bits for name, bound in prove(program).accumulators.items()}


def _accumulator(operation: ops.Linear, inputs: Range) -> Accumulator:
    """Bounds of the layer's partial sums; refused where no exact rescaling exists."""
    planes = operation.weights.planes
    bias = np.stack([operation.bias, *[np.zeros_like(operation.bias)] * (len(planes) - 1)])
    x = max(-inputs[0], inputs[1])
    # In float64 first: the int64 sums below are exact only if nothing here comes near 2^63.
    sums = [np.abs(w).reshape(len(w), -1).sum(1, dtype=np.float64) * x for w in planes]
    rough = np.abs(np.stack(sums)) + np.abs(bias)
    require(
        bool((rough < 2**62).all()),
        operation,
        f"an accumulator of {rough.max():.3g} does not fit 62 bits",
    )
    low, high = (np.stack(side) for side in zip(*(_sums(w, inputs) for w in planes), strict=True))
    bound = Accumulator(np.minimum(low, low + bias), np.maximum(high, high + bias), split=False)
    if bound.largest <= plain_limit(len(planes)):
        return bound
    scales = [scale for scale in (operation.scale, operation.odd) if scale is not None]
    limit = np.stack([split_limit(scale, len(planes)) for scale in scales])
    fits = (-limit <= bound.lo).all() and (bound.hi <= limit).all()
    message = f"its accumulator of {bound.bits} bits times its scale does not fit 64 bits"
    require(bool(fits), operation, message)
    return Accumulator(bound.lo, bound.hi, split=True)


def _sums(weights: np.ndarray, inputs: Range) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sum of products per output channel, [O] each; zeros may take part."""
    flat = weights.reshape(len(weights), -1)
    positive, negative = flat.clip(0, None).sum(1), flat.clip(None, 0).sum(1)
    lo, hi = min(inputs[0], 0), max(inputs[1], 0)
    return positive * lo + negative * hi, positive * hi + negative * lo


@singledispatch
def _range(operation: ops.Operation, proof: Proof) -> Range:
    """Interval of the tensor: for Concat, MaxPool, Repeat, Flatten, all that the inputs span."""
    low, high = zip(*(proof.ranges[name] for name in operation.inputs), strict=True)
    return min(low), max(high)


@_range.register
def _(operation: ops.Normalize, proof: Proof) -> Range:
    ends = np.array([[pixel] for pixel in PIXELS]) * 256 + operation.bias
    require(bool((np.abs(ends) <= plain_limit(1)).all()), operation, "the bias leaves int32")
    return _requantized(operation, ends)


@_range.register
def _(operation: ops.Linear, proof: Proof) -> Range:
    bound = proof.accumulators[operation.name]
    # Monotone in each accumulator, rising or falling by the sign of its b: look at the corners.
    ends = [np.stack([lo, hi]) for lo, hi in zip(bound.lo, bound.hi, strict=True)]
    if operation.odd is None:
        return _requantized(operation, ends[0])
    scales, clamp = (operation.scale, operation.odd), (operation.lo, operation.hi)
    corners = [requantize_pair(a[None], b[None], *scales, *clamp) for a, b in product(*ends)]
    return _ends(np.stack(corners))


@_range.register
def _(operation: ops.Requantize, proof: Proof) -> Range:
    ends = np.array(proof.ranges[operation.inputs[0]]).reshape(2, 1)
    return _requantized(operation, ends)


@_range.register
def _(operation: ops.Threshold, proof: Proof) -> Range:
    ends = proof.ranges[operation.inputs[0]]
    return _ends(operation.values[np.searchsorted(operation.thresholds, ends, side="right")])


@_range.register
def _(operation: ops.Add, proof: Proof) -> Range:
    (a, b), (c, d) = (proof.ranges[name] for name in operation.inputs)
    lo, hi = _int32((a + c, b + d), operation, "the sum")
    return max(operation.lo, min(lo, operation.hi)), min(operation.hi, max(hi, operation.lo))


@_range.register
def _(operation: ops.Relu, proof: Proof) -> Range:
    lo, hi = proof.ranges[operation.inputs[0]]
    return max(lo, 0), max(hi, 0)


@_range.register(ops.SumPool)
@_range.register(ops.AdaptiveSumPool)
def _(operation: ops.SumPool | ops.AdaptiveSumPool, proof: Proof) -> Range:
    """As many times the input as the sums are divided by."""
    zeros = False
    if isinstance(operation, ops.SumPool) and operation.counted != "image":
        zeros = any(operation.padding) or operation.ceil
    lo, hi = _or_zero(proof.ranges[operation.inputs[0]], zeros)
    times = divisor(operation, proof.shapes[operation.inputs[0]][1:])
    message = "the windows' counts have no common multiple in int32"
    require(times <= ops.INT32[1], operation, message)
    return lo * times, hi * times


@_range.register
def _(operation: ops.Lookup, proof: Proof) -> Range:
    lo, hi = proof.ranges[operation.inputs[0]]
    last = operation.lo + len(operation.values) - 1
    inside = operation.lo <= lo and hi <= last
    require(inside, operation, f"inputs {lo} to {hi}; the table has {operation.lo} to {last}")
    return _ends(operation.values[lo - operation.lo : hi - operation.lo + 1])


@_range.register
def _(operation: ops.Multiply, proof: Proof) -> Range:
    x, y = (proof.ranges[name] for name in operation.inputs)
    ends = np.array([[a * b] for a in x for b in y], dtype=object)
    _int32(_ends(ends), operation, "the product")
    return _requantized(operation, ends.astype(np.int64))


@_range.register
def _(operation: ops.Select, proof: Proof) -> Range:
    return _or_zero(proof.ranges[operation.inputs[0]], ops.ZEROS in operation.channels)


@_range.register
def _(operation: ops.Pad, proof: Proof) -> Range:
    return _or_zero(proof.ranges[operation.inputs[0]], max(operation.padding) > 0)


def _ends(values: np.ndarray) -> Range:
    return int(values.min()), int(values.max())


def _or_zero(ends: Range, zeros: bool) -> Range:
    """A range in which zeros may take part."""
    return (min(ends[0], 0), max(ends[1], 0)) if zeros else ends


def _requantized(
    operation: ops.Normalize | ops.Linear | ops.Requantize | ops.Multiply, ends: np.ndarray
) -> Range:
    """The range of accumulators [ends, C] behind the operation's own rescaling."""
    return _ends(requantize(ends, operation.scale, operation.lo, operation.hi))


def _int32(ends: Range, operation: ops.Operation, what: str) -> Range:
    """The range, where int32 holds it."""
    inside = ops.INT32[0] <= ends[0] and ends[1] <= ops.INT32[1]
    require(inside, operation, f"{what}, {ends[0]} to {ends[1]}, does not fit int32")
    return ends
