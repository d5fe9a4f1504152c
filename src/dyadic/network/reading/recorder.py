"""Reading a model by running it: what PyTorch does to an example is what the network is.

The model runs once, on a few images, in evaluation mode. Modules that are known as wholes
(`LEAVES`) become calls of those very modules under the user's names; of everything else PyTorch
reports the operators that it really executes, whatever spelling asked for them, and `spellings`
makes modules of these. Data movement is collected and read by what it does (`movement`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dyadic.errors import UserError
from dyadic.models.normalize import Normalized
from dyadic.network.layers import NOTHING
from dyadic.network.reading import movement
from dyadic.network.reading.calls import Call, tensors
from dyadic.network.reading.leaves import is_leaf, unusable
from dyadic.network.reading.problems import Problem, Unreadable, line

TORCH = str(Path(torch.__file__).parent) + os.sep
SHOWN = 4  # kinds of problems that one line names


@dataclass(frozen=True)
class Traced:
    """A tensor that depends on the images: a node's value, and how it was moved since, if it was.

    moved the numbers of the node's elements, shaped as the tensor (`movement.numbers`)
    """

    node: fx.Node
    shape: tuple[int, ...]  # of the node's value, batch included
    moved: Tensor | None = None


# Operators that take from a tensor its shape alone.
CREATIONS = {
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
}
TAKEN = set(dir(fx.GraphModule(nn.Module(), fx.Graph())))  # names that no child of a graph can have
Handler = Callable[["Recorder", Call], None]


def free(path: str) -> str:
    """A module's path, with an underscore where a graph has an attribute of that name.

    >>> free("graph.conv"), free("conv.graph")
    ('graph_.conv', 'conv.graph')
    """
    first, dot, rest = path.partition(".")
    return f"{first}_{dot}{rest}" if first in TAKEN else path


class Recorder(TorchDispatchMode):
    """Executes a model and writes down a graph; `problems` lists what it could not read."""

    def __init__(self, model: nn.Module, handlers: dict[str, Handler], keep: bool = False) -> None:
        super().__init__()
        self.graph, self.modules = fx.Graph(), dict[str, nn.Module]()
        self.problems: list[Problem] = []
        self.values: dict[str, Tensor] | None = {} if keep else None
        self._model, self._handlers = model, handlers
        self._traced: dict[int, tuple[Tensor, Traced]] = {}
        self._origin: dict[int, tuple[Tensor, Tensor]] = {}  # constants: the parameter they show
        self._known: dict[tuple[str, Any, str], fx.Node] = {}
        self._stack: list[str] = []
        self._paused = False
        self._own = model[-1] if isinstance(model, Normalized) else model
        outer = {m: name for name, m in model.named_modules()}
        self._paths = outer | {m: free(name) for name, m in self._own.named_modules()}
        named = (*self._own.named_parameters(), *self._own.named_buffers())
        self.names = {id(tensor): free(name) for name, tensor in named}

    def record(self, images: Tensor) -> None:
        """Run the model on the images. Raises Unreadable with everything that has no form."""
        self._track(images, self.graph.placeholder("images"))
        try:
            with torch.no_grad(), self, self._leaves():
                result = self._model(images)
        except UserError:
            raise
        except Exception as error:  # the model's own: it may raise anything
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise UserError(
                f"{self._name} fails on images {list(images.shape)}: {reason}"
            ) from error
        if self.is_traced(result):
            self.graph.output(self.node(result))
        else:
            kind = type(result).__name__
            self.refuse(f"the model returns a {kind}; one tensor made of the images is right")
        if self.problems:
            raise self._unreadable()

    def _unreadable(self) -> Unreadable:
        read = [f"{path} ({type(module).__name__})" for path, module in self.modules.items()]
        return Unreadable(self._name, self.problems, read)

    @property
    def _name(self) -> str:
        return type(self._own).__name__

    # What handlers call.

    def is_traced(self, value: object) -> bool:
        """Whether a tensor depends on the images."""
        return isinstance(value, Tensor) and id(value) in self._traced

    def node(self, tensor: Tensor) -> fx.Node:
        """The node of a traced tensor, its movements written down as modules."""
        traced = self.traced(tensor)
        if traced.moved is None:
            return traced.node
        return self.moved(traced, traced.moved)

    def traced(self, tensor: Tensor) -> Traced:
        return self._traced[id(tensor)][1]

    def moved(self, traced: Traced, numbers: Tensor) -> fx.Node:
        """A traced tensor's node, its elements moved to where these numbers stand."""
        image, shape = traced.shape[1:], numbers.shape
        kept = len(shape) > 0 and shape[0] == traced.shape[0]
        one = movement.within_images(numbers, torch.Size(image).numel()) if kept else None
        forms = None if one is None else movement.forms(image, one)
        if forms is None:
            self.refuse(f"moving a tensor {list(traced.shape)} to {list(shape)} in this order")
        node = traced.node
        for form in forms or []:
            node = self.form(form, node)
        return node

    def call(self, path: str, module: nn.Module, *nodes: fx.Node) -> fx.Node:
        """Call a module under this path, or under a free one like it where another has it."""
        name, count = path, 1
        while name in self.modules and self.modules[name] is not module:
            count += 1
            name = f"{path}_{count}"
        self.modules[name] = module
        if isinstance(module, NOTHING):  # drops other elements at each call
            return self.graph.call_module(name, nodes)
        return self._once("call_module", name, nodes)

    def form(self, module: nn.Module, *nodes: fx.Node, name: str = "") -> fx.Node:
        """Call a module that is not the user's, under a name that no module of the user's has."""
        path = name or type(module).__name__.lower()
        while path in self._paths.values():
            path += "_"
        return self.call(path, module, *nodes)

    def function(self, target: Callable[..., Any], *arguments: Any) -> fx.Node:
        """Call a function of several tensors."""
        return self._once("call_function", target, arguments)

    def _once(self, op: str, target: Any, arguments: tuple[Any, ...]) -> fx.Node:
        """The node that computes this; what was computed before is not computed again."""
        key = (op, target, repr(arguments))
        if key not in self._known:
            self._known[key] = self.graph.create_node(op, target, arguments)
        return self._known[key]

    def made(self, tensor: Tensor, node: fx.Node, shape: tuple[int, ...] | None = None) -> None:
        """Say that a node computes a tensor, or the same elements in another shape, in order."""
        self._track(tensor, node, shape)

    def same(self, tensor: Tensor, as_before: Tensor) -> None:
        """Say that a tensor is what another one was."""
        self._traced[id(tensor)] = (tensor, self.traced(as_before))

    def parameter(self, tensor: Tensor) -> Tensor:
        """The user's parameter that a constant shows in some shape; otherwise the constant."""
        kept = self._origin.get(id(tensor))
        return tensor if kept is None else kept[1]

    def owner(self, tensor: Tensor | None, default: str) -> str:
        """The path for a module that takes over a user's parameter: "conv" of "conv.weight"."""
        name = self.names.get(id(tensor), "")
        parent, _, leaf = name.rpartition(".")
        if not name:
            return self.path or default
        return parent if parent and leaf in ("weight", "running_mean") else name

    def own_module(self, path: str) -> nn.Module | None:
        """The user's module of that path."""
        return next((m for m, name in self._paths.items() if name == path), None)

    @property
    def path(self) -> str:
        """The module that is being executed."""
        return self._stack[-1] if self._stack else ""

    def refuse(self, what: str) -> None:
        """Note something without an integer form, where it stands."""
        module = self.own_module(self.path)
        kind = f"{self.path}: {type(module).__name__}" if self.path else ""
        self.problems.append(Problem(what, kind, line()))

    # How it comes to them.

    def _track(self, tensor: Tensor, node: fx.Node, shape: tuple[int, ...] | None = None) -> None:
        moved = None
        if shape is not None and shape != tuple(tensor.shape):
            moved = movement.numbers(shape).reshape(tensor.shape)
        self._traced[id(tensor)] = (tensor, Traced(node, shape or tuple(tensor.shape), moved))
        if self.values is not None and node.name not in self.values:
            self.values[node.name] = tensor.clone().reshape(shape or tensor.shape)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._paused:
            return func(*args, **kwargs)
        depends = any(map(self.is_traced, tensors([*args, *kwargs.values()])))
        result = func(*args, **kwargs)
        call = Call.of(func, args, kwargs, result)
        if depends:
            self._read(call)
        else:
            self._constant(call)
        return result

    def _read(self, call: Call) -> None:
        handler = self._handlers.get(call.name)
        if call.name in CREATIONS:
            return
        if call.name == "_local_scalar_dense":
            self.refuse("what it does depends on values of the image")
            raise self._unreadable()
        if handler is not None:
            handler(self, call)
        elif call.name in movement.MOVEMENTS and self._move(call):
            return
        else:
            self.refuse(call.name.removeprefix("native_").strip("_").replace("_", " "))
        results = list(tensors([call.result]))
        if results and not any(map(self.is_traced, results)):
            # It was refused; go on, to find what else there is.
            for tensor in results:
                self._track(tensor, self.graph.placeholder("unknown"))

    def _constant(self, call: Call) -> None:
        """Remember which parameter a reshaped constant shows."""
        source = next(iter(tensors(list(call.arguments.values()))), None)
        results = list(tensors([call.result]))
        if source is None or call.name not in movement.MOVEMENTS or len(results) != 1:
            return
        if results[0].numel() == source.numel():
            self._origin[id(results[0])] = (results[0], self.parameter(source))

    def _move(self, call: Call) -> bool:
        """Let the numbers of the elements take the way of the elements."""
        source, *others = tensors(call.arguments.values())
        if not self.is_traced(source) or any(map(self.is_traced, others)):
            return False
        if call.name == "_to_copy" and call.result.dtype != source.dtype:
            return False
        if call.name == "constant_pad_nd" and call["value"] != 0:
            return False
        traced = self.traced(source)
        moved = movement.numbers(traced.shape) if traced.moved is None else traced.moved
        after = movement.moved_by(call.name, call.function, call.arguments, moved)
        pairs = zip(tensors([call.result]), tensors([after]), strict=True)
        for tensor, numbers in pairs:
            self._traced[id(tensor)] = (tensor, Traced(traced.node, traced.shape, numbers))
        return True

    @contextmanager
    def _leaves(self) -> Iterator[None]:
        """Let calls of leaf modules be written down whole."""
        original = nn.Module.__call__

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            inputs = [*args, *kwargs.values()]
            single = len(inputs) == 1 and self.is_traced(inputs[0])
            if self._paused or module not in self._paths:
                return original(module, *args, **kwargs)
            self._stack.append(self._paths[module])
            try:
                if single and is_leaf(module):
                    return self._leaf(module, inputs[0], lambda: original(module, *args, **kwargs))
                return original(module, *args, **kwargs)
            finally:
                self._stack.pop()

        with mock.patch.object(nn.Module, "__call__", call):
            yield

    def _leaf(self, module: nn.Module, x: Tensor, run: Callable[[], Tensor]) -> Tensor:
        node = self.node(x)
        self._paused = True
        result = run()
        if isinstance(module, NOTHING):
            result = result.detach()  # a tensor of its own: the one before may be read again
        self._paused = False
        if reason := unusable(module, x):
            self.refuse(reason)
        path = self.path or type(module).__name__.lower()  # the whole model may be one leaf
        self.made(result, self.call(path, module, node))
        return result
