"""Pools, and means, sums and maxima over pixels."""

import torch
from torch import Tensor, fx, nn

from dyadic.network.forms import two
from dyadic.network.reading import movement
from dyadic.network.reading.arithmetic import times
from dyadic.network.reading.calls import Call
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import one, reads


@reads("max_pool2d_with_indices", "max_pool2d")
def max_pool(recorder: Recorder, call: Call) -> None:
    """Largest value of each window."""
    kernel, stride, padding = _window(call)
    options = {"dilation": two(call["dilation"]), "ceil_mode": call["ceil_mode"]}
    one(recorder, call, nn.MaxPool2d(kernel, stride, padding, **options))


@reads("avg_pool2d")
def avg_pool(recorder: Recorder, call: Call) -> None:
    """Mean of each window."""
    rest = (call[key] for key in ("ceil_mode", "count_include_pad", "divisor_override"))
    kernel, stride, padding = _window(call)
    one(recorder, call, nn.AvgPool2d(kernel, stride, padding, *rest))


@reads("_adaptive_avg_pool2d", "adaptive_avg_pool2d")
def adaptive_avg_pool(recorder: Recorder, call: Call) -> None:
    """Means over a grid of a given size."""
    one(recorder, call, nn.AdaptiveAvgPool2d(tuple(call["output_size"])))


@reads("adaptive_max_pool2d")
def adaptive_max_pool(recorder: Recorder, call: Call) -> None:
    """Maxima over a grid that divides the image evenly."""
    sizes = list(zip(call["self"].shape[2:], call["output_size"], strict=True))
    if any(before % after for before, after in sizes):
        return recorder.refuse("adaptive max pooling with windows of different sizes")
    return one(recorder, call, nn.MaxPool2d(tuple(before // after for before, after in sizes)))


@reads("mean", "sum", "amax")
def reduction(recorder: Recorder, call: Call) -> None:
    """Mean, sum or maximum over pixels, over rows or over columns alone."""
    x = call["self"]
    dims = sorted({d % x.ndim for d in call.arguments.get("dim") or range(x.ndim)})
    image = pixels_of(recorder, x)
    if image is None or dims[0] < 2 or call.arguments.get("dtype"):
        return recorder.refuse(
            f"{call.name} over dimensions {dims}; only pixels can be taken together"
        )
    node, rows, columns = image
    whole = len(dims) == x.ndim - 2
    kernel = (rows if whole or 2 in dims else 1, columns if whole or 3 in dims else 1)
    pool: nn.Module = nn.AvgPool2d(kernel)
    if call.name == "amax":
        pool = nn.MaxPool2d(kernel)
    elif whole:
        pool = nn.AdaptiveAvgPool2d(1)
    node = recorder.form(pool, node, name=call.name)
    if call.name == "sum":
        node = times(recorder, node, float(kernel[0] * kernel[1]))
    shape = (*x.shape[:2], rows // kernel[0], columns // kernel[1])
    return recorder.made(call.result, node, shape)


def pixels_of(recorder: Recorder, x: Tensor) -> tuple[fx.Node, int, int] | None:
    """A node [N, C, H, W] with x's elements in x's order, and H and W."""
    if x.ndim == 4:
        return recorder.node(x), x.shape[2], x.shape[3]
    traced = recorder.traced(x)
    if x.ndim != 3 or traced.moved is None:
        return None
    in_order = torch.equal(traced.moved.flatten(), movement.numbered(traced.shape).flatten())
    if in_order and len(traced.shape) == 4 and traced.shape[:2] == x.shape[:2]:
        return traced.node, traced.shape[2], traced.shape[3]
    return recorder.moved(traced, traced.moved[..., None]), x.shape[2], 1


def _window(call: Call) -> tuple[tuple[int, int], ...]:
    kernel = call["kernel_size"]
    return tuple(two(value) for value in (kernel, call["stride"] or kernel, call["padding"]))
