"""Layers called as functions, with a module's parameters or with constants."""

from typing import Any

import torch
from torch import Tensor, nn

from dyadic.network.reading.calls import Call
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import parameter, reads


@reads("convolution", "conv2d")
def convolution(recorder: Recorder, call: Call) -> None:
    """A layer with the parameters that were given, under the name of their owner."""
    weight = call["weight"]
    if call["transposed"]:
        return recorder.refuse("transposed convolution")
    if weight.ndim != 4 or recorder.is_traced(weight):  # weights [O, I, kh, kw]
        return recorder.refuse("a convolution over images only, with weights that are constants")
    groups, bias = call["groups"], call["bias"]
    geometry: dict[str, Any] = {key: tuple(call[key]) for key in ("stride", "padding", "dilation")}
    path = recorder.owner(weight, "conv")
    own = recorder.own_module(path)
    if not (isinstance(own, nn.Conv2d) and _is(own, weight, bias, groups=groups, **geometry)):
        inputs, kernel = weight.shape[1] * groups, (weight.shape[2], weight.shape[3])
        own = nn.Conv2d(inputs, len(weight), kernel, groups=groups, **geometry)
        _give(own, weight, bias)
    node = recorder.call(path, own, recorder.node(call["input"]))
    return recorder.made(call.result, node)


@reads("addmm", "mm")
def fully_connected(recorder: Recorder, call: Call) -> None:
    """A fully connected layer: the second matrix is constant."""
    biased = call.name == "addmm"
    x, matrix, bias = call["mat1" if biased else "self"], call["mat2"], None
    if biased:
        bias = call["self"]
    plain = call.arguments.get("alpha", 1) == 1 and call.arguments.get("beta", 1) == 1
    if recorder.is_traced(matrix) or recorder.is_traced(bias) or not plain:
        return recorder.refuse("a matrix product of two tensors")
    weight = recorder.parameter(matrix)
    if tuple(weight.shape) != tuple(matrix.T.shape) or not torch.equal(weight, matrix.T):
        weight = matrix.T.clone()
    path = recorder.owner(weight, "linear")
    own = recorder.own_module(path)
    if not (isinstance(own, nn.Linear) and _is(own, weight, bias)):
        own = nn.Linear(weight.shape[1], len(weight))
        _give(own, weight, bias)
    return recorder.made(call.result, recorder.call(path, own, recorder.node(x)))


def _is(module: nn.Module, weight: Tensor, bias: Tensor | None, **geometry: object) -> bool:
    same = all(getattr(module, key) == value for key, value in geometry.items())
    return same and module.weight is weight and module.bias is bias


def _give(module: Any, weight: Tensor | None, bias: Tensor | None) -> None:
    """Parameters for a module."""
    module.weight = None if weight is None else parameter(weight)
    module.bias = None if bias is None else parameter(bias)


@reads("native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def batch_norm(recorder: Recorder, call: Call) -> None:
    """Batch norm with running statistics, under the name of their owner."""
    mean, var = call["running_mean"], call["running_var"]
    if mean is None or call.arguments.get("training"):
        return recorder.refuse("normalization by the statistics of the batch or the image itself")
    eps = float(call["epsilon" if "epsilon" in call.arguments else "eps"])
    kind = nn.BatchNorm1d if call["input"].ndim == 2 else nn.BatchNorm2d
    norm = kind(len(mean), eps=eps, momentum=call["momentum"])
    _give(norm, call["weight"], call["bias"])
    norm.running_mean, norm.running_var = mean, var
    path = recorder.owner(mean, "norm")
    recorder.made(call.result[0], recorder.call(path, norm, recorder.node(call["input"])))
