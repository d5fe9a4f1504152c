"""The table of PyTorch's operators: what each is written down as."""

from collections.abc import Callable

from torch import Tensor, nn

from dyadic.network.reading.calls import Call
from dyadic.network.reading.recorder import Handler, Recorder

HANDLERS: dict[str, Handler] = {}


def reads(*names: str) -> Callable[[Handler], Handler]:
    """Register a handler for operators by name."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(names, handler))
        return handler

    return register


def one(recorder: Recorder, call: Call, module: nn.Module, source: str = "self") -> None:
    """A module on one traced tensor gives the result."""
    result = call.result[0] if isinstance(call.result, tuple) else call.result
    node = recorder.form(module, recorder.node(call[source]), name=call.name.strip("_"))
    recorder.made(result, node)


def parameter(value: Tensor) -> nn.Parameter:
    """The value, which may be a parameter of the user's, as a parameter."""
    return value if isinstance(value, nn.Parameter) else nn.Parameter(value.detach().clone())
