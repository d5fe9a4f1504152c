"""Tracing: any network as a graph of modules, additions, products and concatenations.

What comes after - inserting quantizers, counting, lowering - sees one form of each operation. The
graph is compared with the model before anybody relies on it.
"""

import copy

import torch
from torch import Tensor, fx, nn

from dyadic.network.modes import evaluating
from dyadic.network.reading import arithmetic, functions, layers, pooling
from dyadic.network.reading.equivalence import samples, traced_difference
from dyadic.network.reading.problems import Unreadable
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import HANDLERS

__all__ = ["HANDLERS", "Unreadable", "arithmetic", "functions", "layers", "pooling", "trace"]
EXAMPLES = 3  # images that the model is read on


def trace(model: nn.Module, images: Tensor) -> fx.GraphModule:
    """The model as a graph that calls modules, `operator.add`, `operator.mul` and `torch.cat` only.

    images  examples [N, C, H, W] as the model takes them, for calibration, say. The graph's logits
            are compared with the model's on them and on random ones; the largest difference, as a
            share of the largest logit, is `meta["traced_difference"]`.

    Parameters and names are the model's own, without the `body.` of a normalized one. Modules are
    shared with the model, but for those that work in place.
    Raises UserError, in one line, naming all operations that have no form here, or the first node
    where graph and model differ.
    """
    noise, given = samples(images)
    with evaluating(model):
        recorder = Recorder(model, HANDLERS)
        recorder.record(torch.cat([given, noise])[:EXAMPLES])
    root, own = nn.Module(), set(model.modules())
    for path, module in sorted(recorder.modules.items(), key=lambda pair: pair[0].count(".")):
        _install(root, path, _plain(module) if module in own else module.train(model.training))
    graph = fx.GraphModule(root, recorder.graph, type(model).__name__)
    graph.graph.eliminate_dead_code()
    graph.graph.lint()
    graph.delete_all_unused_submodules()
    graph.recompile()
    if not images.is_meta:  # which has no values to compare
        graph.meta["traced_difference"] = traced_difference(model, graph, images)
    return graph


def _plain(module: nn.Module) -> nn.Module:
    """The module, or a copy that does not work in place: its input may be read again."""
    if getattr(module, "inplace", False):
        module = copy.copy(module)
        module.inplace = False  # type: ignore[assignment]
    return module


def _install(root: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module at a dotted path, with plain modules on the way."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)
