"""The weight layers of a traced network: what the papers count, quantize and allocate bits to."""

import operator
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torchvision.ops import StochasticDepth

from dyadic.models.normalize import NormalizePixels
from dyadic.network.activations import ActivationQuantization
from dyadic.network.forms import Pad, Pixels, Repeat, Select
from dyadic.network.modes import evaluating

NORMS = nn.modules.batchnorm._BatchNorm
NOTHING = (
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout),
    *(nn.FeatureAlphaDropout, StochasticDepth),
)  # in evaluation
ACTIVATIONS = (
    *(nn.ReLU, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.SiLU, nn.Tanh, nn.GELU),
    *(nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Mish, nn.Softsign),
    *(nn.LogSigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold),
)
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
LEAVES = (
    *(NormalizePixels, nn.Conv2d, nn.Linear, NORMS),
    *(*NOTHING, *ACTIVATIONS, *POOLS, nn.Flatten),
)  # modules that are read as wholes
TRANSPARENT = (nn.MaxPool2d, nn.Flatten, *NOTHING, Select, Pad, Repeat, Pixels)  # no sign changes


@dataclass(frozen=True)
class Layer:
    """A convolution or fully connected layer in its network.

    nodes where it is called: once, but for a layer that the network shares
    macs  multiply-accumulates for one image, of all calls
    order position among the weight layers, in execution order
    """

    name: str
    module: nn.Conv2d | nn.Linear
    nodes: tuple[fx.Node, ...]
    kind: Literal["conv", "linear"]
    parameters: int
    macs: int
    order: int

    @property
    def node(self) -> fx.Node:
        """The first call."""
        return self.nodes[0]


def module_of(network: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that a node calls, None for other operations."""
    return network.get_submodule(str(node.target)) if node.op == "call_module" else None


def propagate_shapes(network: fx.GraphModule, image_shape: tuple[int, int, int]) -> None:
    """Write each node's output shape into `node.meta["tensor_meta"]`, for one zero image."""
    device = next(network.parameters()).device
    with evaluating(network), torch.no_grad():
        ShapeProp(network).propagate(torch.zeros(1, *image_shape, device=device))


def shape_of(node: fx.Node) -> tuple[int, ...]:
    """Output shape of a node for one image, without the batch (after `propagate_shapes`)."""
    return tuple(node.meta["tensor_meta"].shape[1:])


def weight_layers(network: fx.GraphModule, image_shape: tuple[int, int, int]) -> list[Layer]:
    """All convolutions and fully connected layers, in execution order."""
    propagate_shapes(network, image_shape)
    calls: dict[str, list[fx.Node]] = {}
    for node in network.graph.nodes:
        if isinstance(module_of(network, node), nn.Conv2d | nn.Linear):
            calls.setdefault(str(node.target), []).append(node)
    return [_layer(network, tuple(nodes), order) for order, nodes in enumerate(calls.values())]


def _layer(network: fx.GraphModule, nodes: tuple[fx.Node, ...], order: int) -> Layer:
    name, shapes = str(nodes[0].target), [shape_of(node) for node in nodes]
    module = network.get_submodule(name)
    assert isinstance(module, nn.Conv2d | nn.Linear)
    weights, positions = module.weight.numel(), sum(prod(shape[1:]) for shape in shapes)
    kind = "conv" if isinstance(module, nn.Conv2d) else "linear"
    return Layer(name, module, nodes, kind, weights, weights * positions, order)


def batch_norm_after(network: fx.GraphModule, node: fx.Node) -> fx.Node | None:
    """The batch norm that alone reads a layer's output, None where there is none.

    Neither of the two may be called anywhere else: what joins them would change that call too.
    """
    users = list(node.users)
    if len(users) != 1 or not isinstance(module_of(network, users[0]), NORMS):
        return None
    targets = [n.target for n in network.graph.nodes if n.op == "call_module"]
    alone = targets.count(node.target) == targets.count(users[0].target) == 1
    return users[0] if alone else None


def ties(network: fx.GraphModule) -> dict[str, str]:
    """Downsample convolutions and the first convolution of their block, which read one tensor.

    HAWQ-V3's notebook forces both to the same width (its ILP's equality constraints). A downsample
    layer is one whose output meets, in an addition, a path of other layers from the same input.
    """
    tied = {}
    for node in network.graph.nodes:
        if node.op == "call_function" and node.target is operator.add:
            paths = [_path(network, a) for a in node.args if isinstance(a, fx.Node)]
            paths.sort(key=len)
            short, long = paths[0], paths[-1]
            if len(short) == 1 and long and _origin(network, short[0]) is _origin(network, long[0]):
                tied[str(short[0].target)] = str(long[0].target)
    return tied


def _path(network: fx.GraphModule, node: fx.Node) -> list[fx.Node]:
    """Weight layers from the last addition, concatenation or split up to this node, in order."""
    found: list[fx.Node] = []
    while node.op == "call_module" and not (len(node.users) > 1 and found):
        module = module_of(network, node)
        if isinstance(module, nn.Conv2d | nn.Linear):
            found.insert(0, node)
            if len(_origin(network, node).users) > 1:
                break
        node = node.all_input_nodes[0]
    return found


def _origin(network: fx.GraphModule, node: fx.Node) -> fx.Node:
    """What a layer reads, seen through the quantizer in front of it."""
    source = node.all_input_nodes[0]
    while isinstance(module_of(network, source), ActivationQuantization):
        source = source.all_input_nodes[0]
    return source
