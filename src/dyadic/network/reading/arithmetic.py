"""Sums, products, constants and concatenations."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from dyadic.network.forms import ZEROS, Scale, Select, Shift
from dyadic.network.reading.calls import Call
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import reads


@reads("mul", "div")
def product(recorder: Recorder, call: Call) -> None:
    """By a constant a Scale; of two tensors `operator.mul`, the larger one first."""
    x, y = call["self"], call["other"]
    if recorder.is_traced(x) and recorder.is_traced(y):
        if call.name == "div":
            return recorder.refuse("the quotient of two tensors")
        large, small = (x, y) if x.numel() >= y.numel() else (y, x)
        if large.shape != call.result.shape:
            return recorder.refuse(f"a product of {list(x.shape)} and {list(y.shape)}")
        nodes = recorder.node(large), collapsed(recorder, small)
        return recorder.made(call.result, recorder.function(operator.mul, *nodes))
    if call.name == "div" and (recorder.is_traced(y) or call.arguments.get("rounding_mode")):
        return recorder.refuse("a division by what depends on the image")
    tensor, constant = (x, y) if recorder.is_traced(x) else (y, x)
    factor = constant_of(constant)
    return times_constant(recorder, call, tensor, 1 / factor if call.name == "div" else factor)


def times_constant(recorder: Recorder, call: Call, x: Tensor, factor: Tensor) -> None:
    """X * factor is the result."""
    if factor.numel() == 1 and factor.ndim == 0 and factor.item() == 1:
        return recorder.same(call.result, x)
    shape = _shape(recorder, call, x, factor)
    if shape is None:
        return None
    node = recorder.form(Scale(recorder.parameter(factor), shape), recorder.node(x))
    return recorder.made(call.result, node)


@reads("add", "sub", "rsub")
def total(recorder: Recorder, call: Call) -> None:
    """Self + factor * other, with a constant a Shift, of two tensors `operator.add`."""
    x, y, alpha = call["self"], call["other"], float(call["alpha"])
    if call.name == "rsub":
        x, y, alpha = y, x, -alpha  # other - alpha * self
    elif call.name == "sub":
        alpha = -alpha
    if recorder.is_traced(x) and recorder.is_traced(y):
        nodes = [_widened(recorder, x, call.result), _widened(recorder, y, call.result)]
        nodes[1] = times(recorder, nodes[1], alpha)
        return recorder.made(call.result, recorder.function(operator.add, *nodes))
    if recorder.is_traced(x):
        return plus_constant(recorder, call, x, constant_of(y), alpha, recorder.node(x))
    node = times(recorder, recorder.node(y), alpha)
    return plus_constant(recorder, call, y, constant_of(x), 1.0, node)


def plus_constant(
    recorder: Recorder, call: Call, x: Tensor, constant: Tensor, factor: float, node: fx.Node
) -> None:
    """Node + factor * constant is the result; x is what the node comes from."""
    if constant.ndim == 0 and constant.item() == 0:
        return recorder.made(call.result, node)  # sum([x, y]) begins with 0 + x
    shape = _shape(recorder, call, x, constant)
    if shape is None:
        return None
    module = Shift(recorder.parameter(constant), shape, factor)
    return recorder.made(call.result, recorder.form(module, node))


@reads("neg")
def negative(recorder: Recorder, call: Call) -> None:
    """-1 * self."""
    times_constant(recorder, call, call["self"], torch.tensor(-1.0))


def times(recorder: Recorder, node: fx.Node, factor: float) -> fx.Node:
    """A node's value times a number."""
    if factor == 1.0:
        return node
    return recorder.form(Scale(torch.tensor(factor), ()), node)


def constant_of(value: Any) -> Tensor:
    """A tensor or number as a tensor."""
    return value if isinstance(value, Tensor) else torch.tensor(float(value))


def _shape(recorder: Recorder, call: Call, x: Tensor, constant: Tensor) -> Sequence[int] | None:
    """The constant's shape against x, if it says one number a channel or one in all."""
    shape = [1] * (x.ndim - constant.ndim) + list(constant.shape)
    wide = [axis for axis, size in enumerate(shape) if size != 1 and axis != 1]
    if call.result.shape != x.shape or wide:
        recorder.refuse(f"a constant of shape {list(constant.shape)} on {list(x.shape)}")
        return None
    return () if constant.numel() == 1 else shape


def _widened(recorder: Recorder, x: Tensor, result: Tensor) -> fx.Node:
    """A node of the result's shape: what broadcasting repeats is repeated."""
    if x.shape == result.shape:
        return recorder.node(x)
    traced = recorder.traced(x)
    return recorder.moved(traced, traced.now.expand(result.shape))


def collapsed(recorder: Recorder, x: Tensor) -> fx.Node:
    """The node of a factor, without the pixels over which it is only repeated."""
    traced = recorder.traced(x)
    if traced.moved is None or x.ndim != 4:
        return recorder.node(x)
    corner = traced.moved[:, :, :1, :1]
    constant = torch.equal(corner.expand_as(traced.moved), traced.moved)
    return recorder.moved(traced, corner if constant else traced.moved)


@reads("cat", "concat")
def concatenation(recorder: Recorder, call: Call) -> None:
    """Of channels or features; operands that are constant zeros are zeros chosen."""
    tensors, rank = call["tensors"], call.result.ndim
    if call["dim"] % rank != 1 or rank not in (2, 4):
        return recorder.refuse(
            f"concatenation along dimension {call['dim']}; only channels (1) work"
        )
    traced = next(tensor for tensor in tensors if recorder.is_traced(tensor))
    nodes = []
    for tensor in tensors:
        if recorder.is_traced(tensor):
            nodes.append(recorder.node(tensor))
        elif tensor.any():
            return recorder.refuse("concatenation with a constant other than zero")
        else:
            zeros = Select([ZEROS] * tensor.shape[1])
            nodes.append(recorder.form(zeros, recorder.node(traced)))
    return recorder.made(call.result, recorder.function(torch.cat, nodes, 1))
