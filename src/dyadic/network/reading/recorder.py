"""Reading a model by running it: what PyTorch does to an example is what the network is.

The model runs once, on a few images, in evaluation mode. Modules that are known as wholes
(`LEAVES`) become calls of those very modules under the user's names; of everything else PyTorch
reports the operators that it really executes, whatever spelling asked for them, and `spellings`
makes modules of these. Data movement is collected and read by what it does (`movement`).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

from dyadic.errors import UserError, first_line
from dyadic.models.normalize import Normalized
from dyadic.network.layers import NOTHING
from dyadic.network.reading import movement
from dyadic.network.reading.calls import Call, tensors
from dyadic.network.reading.leaves import leaves
from dyadic.network.reading.problems import Refusal, Unreadable, line

# Operators that take from a tensor its shape alone.
CREATIONS = {f"{value}_like" for value in ("zeros", "ones", "full")} | {
    f"new_{value}" for value in ("zeros", "ones", "full", "empty")
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
        self.problems: list[Refusal] = []
        self.values: dict[str, Tensor] | None = {} if keep else None
        self._model, self._handlers = model, handlers
        self._traced: dict[int, tuple[Tensor, movement.Traced]] = {}
        self._origin: dict[int, tuple[Tensor, Tensor]] = {}  # constants: the parameter they show
        self._nodes: dict[tuple[str, Any, str], fx.Node] = {}
        self.stack: list[str] = []
        self.paused = False
        self._own = model[-1] if isinstance(model, Normalized) else model
        outer = {m: name for name, m in model.named_modules()}
        self.paths = outer | {m: free(name) for name, m in self._own.named_modules()}
        named = (*self._own.named_parameters(), *self._own.named_buffers())
        self.names = {id(tensor): free(name) for name, tensor in named}

    def record(self, images: Tensor) -> None:
        """Run the model on the images. Raises Unreadable with everything that has no form."""
        self.made(images, self.graph.placeholder("images"))
        try:
            with torch.no_grad(), self, leaves(self):
                result = self._model(images)
        except UserError:
            raise
        except Exception as error:  # the model's own: it may raise anything
            name, shape = type(self._own).__name__, list(images.shape)
            raise UserError(f"{name} fails on images {shape}: {first_line(error)}") from error
        if self.is_traced(result):
            self.graph.output(self.node(result))
        else:
            returned = f"the model returns a {type(result).__name__}"
            self.refuse(f"{returned}; one tensor made of the images is right")
        if self.problems:
            raise self._unreadable()

    def _unreadable(self) -> Unreadable:
        read = [f"{path} ({type(module).__name__})" for path, module in self.modules.items()]
        return Unreadable(type(self._own).__name__, self.problems, read)

    # What handlers call.

    def is_traced(self, value: object) -> bool:
        """Whether a tensor depends on the images."""
        return isinstance(value, Tensor) and id(value) in self._traced

    def node(self, tensor: Tensor) -> fx.Node:
        """The node of a traced tensor, its movements written down as modules."""
        traced = self.traced(tensor)
        return traced.node if traced.moved is None else self.moved(traced, traced.moved)

    def traced(self, tensor: Tensor) -> movement.Traced:
        """What is known of a traced tensor."""
        return self._traced[id(tensor)][1]

    def moved(self, traced: movement.Traced, numbers: Tensor) -> fx.Node:
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
        while path in self.paths.values():
            path += "_"
        return self.call(path, module, *nodes)

    def function(self, target: Callable[..., Any], *arguments: Any) -> fx.Node:
        """Call a function of several tensors."""
        return self._once("call_function", target, arguments)

    def _once(self, op: str, target: Any, arguments: tuple[Any, ...]) -> fx.Node:
        """The node that computes this; what was computed before is not computed again."""
        key = (op, target, repr(arguments))
        if key not in self._nodes:
            self._nodes[key] = self.graph.create_node(op, target, arguments)
        return self._nodes[key]

    def made(self, tensor: Tensor, node: fx.Node, shape: tuple[int, ...] | None = None) -> None:
        """Say that a node computes a tensor, or the same elements in another shape, in order."""
        shape = shape or tuple(tensor.shape)
        other = shape != tuple(tensor.shape)
        moved = movement.numbered(shape).reshape(tensor.shape) if other else None
        self._traced[id(tensor)] = (tensor, movement.Traced(node, shape, moved))
        if self.values is not None and node.name not in self.values:
            self.values[node.name] = tensor.clone().reshape(shape)

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
        return next((m for m, name in self.paths.items() if name == path), None)

    @property
    def path(self) -> str:
        """The module that is being executed."""
        return self.stack[-1] if self.stack else ""

    def refuse(self, what: str) -> None:
        """Note something without an integer form, where it stands."""
        module = self.own_module(self.path)
        kind = f"{self.path}: {type(module).__name__}" if self.path else ""
        self.problems.append(Refusal(what, kind, line()))

    # How it comes to them.

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.paused:
            return func(*args, **kwargs)
        depends = any(map(self.is_traced, tensors([*args, *kwargs.values()])))
        result = func(*args, **kwargs)
        handle = self._read if depends else self._constant
        handle(Call.of(func, args, kwargs, result))
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
                self.made(tensor, self.graph.placeholder("unknown"))

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
        after = movement.moved_by(call.name, call.function, call.arguments, traced.now)
        pairs = zip(tensors([call.result]), tensors([after]), strict=True)
        for tensor, numbers in pairs:
            self._traced[id(tensor)] = (tensor, movement.Traced(traced.node, traced.shape, numbers))
        return True
