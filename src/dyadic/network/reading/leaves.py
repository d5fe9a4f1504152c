"""Modules that are read as wholes: those whose behaviour their kind alone decides."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.network.layers import LEAVES, NORMS, NOTHING

if TYPE_CHECKING:
    from dyadic.network.reading.recorder import Recorder


@contextmanager
def leaves(recorder: "Recorder") -> Iterator[None]:
    """Let calls of leaf modules be written down whole, and the recorder know where it is."""
    original = nn.Module.__call__

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if recorder.paused or module not in recorder.paths:
            return original(module, *args, **kwargs)
        inputs = [*args, *kwargs.values()]
        recorder.stack.append(recorder.paths[module])
        try:
            if len(inputs) == 1 and recorder.is_traced(inputs[0]) and is_leaf(module):
                return _whole(recorder, module, inputs[0], lambda: original(module, *inputs))
            return original(module, *args, **kwargs)
        finally:
            recorder.stack.pop()

    with mock.patch.object(nn.Module, "__call__", call):
        yield


def _whole(recorder: "Recorder", module: nn.Module, x: Tensor, run: Callable[[], Tensor]) -> Tensor:
    node = recorder.node(x)
    recorder.paused = True
    result = run()
    if isinstance(module, NOTHING):
        result = result.detach()  # a tensor of its own: the one before may be read again
    recorder.paused = False
    if reason := unusable(module, x):
        recorder.refuse(reason)
    path = recorder.path or type(module).__name__.lower()  # the whole model may be one leaf
    recorder.made(result, recorder.call(path, module, node))
    return result


def is_leaf(module: nn.Module) -> bool:
    """A module of a kind that is known as a whole, with that kind's own behaviour."""
    kind = next((k for k in LEAVES if isinstance(module, k)), None)
    if kind is None or type(module).forward is not kind.forward:
        return False
    if parametrize.is_parametrized(module) or not isinstance(
        getattr(module, "weight", None), nn.Parameter | None
    ):
        return False  # a weight that is computed: the operator sees the value
    if isinstance(module, nn.Conv2d):
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    if isinstance(module, nn.PReLU):
        return module.num_parameters == 1
    return not (isinstance(module, nn.MaxPool2d) and module.return_indices)


def unusable(module: nn.Module, x: Tensor) -> str:
    """Why a module that is known cannot be used on a tensor of this rank, or at all; else empty."""
    if isinstance(module, NORMS) and module.running_mean is None:
        return "batch norm without running statistics; use track_running_stats=True"
    if isinstance(module, nn.Linear) and x.ndim != 2:
        return f"a fully connected layer on {x.ndim} dimensions; flatten to [N, features] first"
    if x.ndim not in (2, 4):
        return f"a tensor of {x.ndim} dimensions; [N, C, H, W] and [N, features] can be lowered"
    return ""
