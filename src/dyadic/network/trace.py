"""Tracing: any torch.fx-traceable model as a graph of modules, additions and concatenations.

Functional calls (`F.relu`, `torch.flatten`, `x.view(n, -1)`, ...) become modules, so that what
comes after - inserting quantizers, counting, lowering - sees one form of each operation.
"""

import operator
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import fx, nn

from dyadic.errors import UserError

ADDITIONS = (operator.add, operator.iadd, torch.add)
CONCATENATIONS = (torch.cat, torch.concat)


class Tracer(fx.Tracer):
    """Symbolic tracing that keeps dyadic's own modules (quantizers, normalization) whole."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = type(m).__module__.startswith(("dyadic.models.normalize", "dyadic.network"))
        return own or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> fx.GraphModule:
    """The model as a graph whose calls are modules, `operator.add` and `torch.cat` only.

    Raises UserError where torch.fx cannot follow the model or meets an unknown operation.
    """
    try:
        graph = Tracer().trace(model)
    except Exception as error:  # torch.fx raises many types; the user needs the reason, in one line
        reason = str(error).splitlines()[0]
        raise UserError(f"{type(model).__name__} cannot be traced by torch.fx: {reason}") from error
    module = fx.GraphModule(model, graph, type(model).__name__)
    for node in reversed(list(graph.nodes)):  # so that x.size(0), read only by a view, falls away
        _canonical(module, node)
    graph.eliminate_dead_code()
    graph.lint()
    module.recompile()
    return module


def put_in_front(network: fx.GraphModule, module: nn.Module, name: str) -> None:
    """Call `module` on the network's input, before anything else reads it; in place."""
    image = next(node for node in network.graph.nodes if node.op == "placeholder")
    network.add_submodule(name, module)
    with network.graph.inserting_after(image):
        first = network.graph.call_module(name, (image,))
    image.replace_all_uses_with(first, delete_user_cb=lambda user: user is not first)
    network.recompile()


def _canonical(module: fx.GraphModule, node: fx.Node) -> None:
    """Rewrite one node into its module form, in place; refuse what nobody could lower."""
    if node.op == "call_function" and node.target in ADDITIONS:
        node.target, node.kwargs = operator.add, {}
    elif node.op == "call_function" and node.target in CONCATENATIONS:
        _check_channels(node)
        node.target, node.args, node.kwargs = torch.cat, (node.args[0], 1), {}
    elif node.op in ("call_function", "call_method") and node.users:
        make = _MODULES.get(node.target)
        if make is None:
            raise UserError(f"{node.format_node()}: no module form of this operation is known")
        _replace(module, node, make(*node.args[1:], **node.kwargs))


def _check_channels(node: fx.Node) -> None:
    dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    if dim != 1:
        raise UserError(f"{node.name}: concatenation along dimension {dim}; only channels (1) work")


def _replace(module: fx.GraphModule, node: fx.Node, form: nn.Module) -> None:
    name = f"{node.name}_module"
    module.add_submodule(name, form.train(module.training))
    with module.graph.inserting_after(node):
        new = module.graph.call_module(name, (node.args[0],))
    node.replace_all_uses_with(new)
    module.graph.erase_node(node)


def _relu(inplace: bool = False) -> nn.Module:
    return nn.ReLU(inplace)


def _dropout(p: float = 0.5, training: bool = True, inplace: bool = False) -> nn.Module:
    return nn.Dropout(p)


def _flatten(start_dim: int = 0, end_dim: int = -1) -> nn.Module:
    return nn.Flatten(start_dim, end_dim)


def _view(batch: object, *rest: int) -> nn.Module:
    """`x.view(n, -1)` and `x.reshape(n, -1)`: the batch size stays, the rest is flattened."""
    if rest != (-1,):
        raise UserError(f"view to {rest}: only a flattening, view(n, -1), is known")
    return nn.Flatten(1)


_MODULES: dict[object, Callable[..., nn.Module]] = {
    F.relu: _relu,
    torch.relu: _relu,
    "relu": _relu,
    F.dropout: _dropout,
    F.max_pool2d: nn.MaxPool2d,
    torch.max_pool2d: nn.MaxPool2d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    torch.flatten: _flatten,
    "flatten": _flatten,
    "view": _view,
    "reshape": _view,
}
