"""Functions of single values: activations, however they are spelled."""

import operator
from typing import Any

import torch
from torch import Tensor, nn

from dyadic.network.forms import Elementwise, Scale
from dyadic.network.reading.calls import Call
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import one, parameter, reads


@reads("relu", "relu6", "hardtanh", "clamp", "clamp_min", "clamp_max", "maximum", "minimum")
def clamp(recorder: Recorder, call: Call) -> None:
    """Limits from below and above, as ReLU, ReLU6 or Hardtanh."""
    low, high = _limits(recorder, call)
    if low is None or high is None:
        return recorder.refuse(f"{call.name} of two tensors")
    module: nn.Module = nn.Hardtanh(low, high)
    if (low, high) == (0.0, torch.inf):
        module = nn.ReLU()
    elif (low, high) == (0.0, 6.0):
        module = nn.ReLU6()
    return one(recorder, call, module)


def _limits(recorder: Recorder, call: Call) -> tuple[float | None, float | None]:
    given = call.arguments
    keys = {"relu": (0.0, None), "relu6": (0.0, 6.0)}
    low, high = keys.get(call.name, (None, None))
    low = given.get("min_val", given.get("min", low))
    high = given.get("max_val", given.get("max", high))
    if call.name in ("maximum", "minimum"):
        low, high = (given["other"], None) if call.name == "maximum" else (None, given["other"])
    return _number(recorder, low, -torch.inf), _number(recorder, high, torch.inf)


def _number(recorder: Recorder, value: Any, missing: float) -> float | None:
    if value is None:
        return missing
    if not isinstance(value, Tensor):
        return float(value)
    alone = value.numel() == 1 and not recorder.is_traced(value)
    return value.item() if alone else None


@reads(
    *("hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "gelu", "leaky_relu", "elu", "celu"),
    *("softplus", "mish", "log_sigmoid_forward", "hardshrink", "softshrink", "threshold", "abs"),
    *("sign", "exp", "expm1", "log1p", "sqrt", "rsqrt", "square", "pow", "erf", "sin", "cos"),
    *("atan", "reciprocal", "floor", "ceil", "round", "trunc"),
)
def elementwise(recorder: Recorder, call: Call) -> None:
    """A function of single values, with constants."""
    rest = list(call.arguments.values())[1:]
    if any(isinstance(value, Tensor) for value in rest):
        return recorder.refuse(f"{call.name} of two tensors")
    function = call.function
    if call.name == "log_sigmoid_forward":
        function = torch.ops.aten.log_sigmoid.default
    return one(recorder, call, Elementwise(function, *rest), next(iter(call.arguments)))


@reads("_prelu_kernel")
def prelu(recorder: Recorder, call: Call) -> None:
    """PReLU: with one slope for all a function, with one a channel max(x, 0) + slope min(x, 0)."""
    slope, x = recorder.parameter(call["weight"]), recorder.node(call["self"])
    if slope.numel() == 1:
        module = nn.PReLU()
        module.weight = parameter(slope.flatten() if slope.ndim != 1 else slope)
        node = recorder.call(recorder.owner(slope, "prelu"), module, x)
    else:
        shape = (1, -1, *[1] * (call["self"].ndim - 2))
        negative = recorder.form(Scale(slope, shape), recorder.form(nn.Hardtanh(-torch.inf, 0), x))
        node = recorder.function(operator.add, recorder.form(nn.ReLU(), x), negative)
    recorder.made(call.result, node)
