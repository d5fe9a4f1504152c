"""Inserting quantizers: what turns a traced float network into a quantized one.

Each weight layer reads a quantized tensor: its activation quantizer stands directly before it and
is shared by all layers that read the same tensor with the same bits (a block's first convolution
and its downsample convolution). The first layer reads the image with signed 8-bit codes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import fx, nn

from dyadic.network.activations import ActivationQuantization, StraightThroughReLU
from dyadic.network.forms import Elementwise
from dyadic.network.layers import TRANSPARENT, Layer, module_of
from dyadic.network.weights import quantize_weight
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.straight_through import replaces_relu
from dyadic.quantizers.uniform import Uniform
from dyadic.record.schema import FLOAT_BITS

INPUT_BITS = 8
NONNEGATIVE = (nn.ReLU, nn.Sigmoid, nn.Hardsigmoid, nn.Softplus)
NONNEGATIVE_FUNCTIONS = {
    getattr(torch.ops.aten, name).default
    for name in ("sigmoid", "hardsigmoid", "softplus", "abs", "square", "exp", "sqrt", "rsqrt")
}
WeightFactory = Callable[..., Quantizer]  # (bits=...) -> Quantizer
ActivationFactory = Callable[..., Quantizer]  # (bits=..., signed=...) -> Quantizer


Bits = tuple[int, int]
"""Widths of a layer's weights and of the activations that it reads; `FLOAT` leaves them float."""

FLOAT = FLOAT_BITS  # as in W4A32


def quantize_weights(layers: list[Layer], factory: WeightFactory, bits: Mapping[str, Bits]) -> None:
    """Give every layer with weight bits a quantizer of its own."""
    for layer in layers:
        width = bits[layer.name][0]
        if width != FLOAT:
            quantize_weight(layer.module, factory(bits=width))


def quantize_activations(
    network: fx.GraphModule,
    layers: list[Layer],
    factory: ActivationFactory,
    bits: Mapping[str, Bits],
) -> None:
    """Insert a quantizer before every layer with activation bits, shared where they are equal."""
    placed: dict[tuple[fx.Node, int], fx.Node] = {}
    for node, width in ((node, bits[x.name][1]) for x in layers for node in x.nodes):
        source = node.all_input_nodes[0]
        if width == FLOAT or is_quantizer(network, source):
            continue
        if (source, width) not in placed:
            quantizer = _activation_quantizer(network, source, factory, width)
            if replaces_relu(quantizer.ste):
                _pass_negatives(network, source)
            placed[source, width] = insert_quantizer(network, source, quantizer)
        node.replace_input_with(source, placed[source, width])
    network.graph.lint()
    network.recompile()


def _activation_quantizer(
    network: fx.GraphModule, source: fx.Node, factory: ActivationFactory, bits: int
) -> Quantizer:
    if reads_image(network, source):
        return Uniform(bits=INPUT_BITS, signed=True)
    return factory(bits=bits, signed=not is_nonnegative(network, source))


def _pass_negatives(network: fx.GraphModule, node: fx.Node) -> None:
    """Give the ReLU that a node comes from, if it does, derivative 1 for negative inputs."""
    while isinstance(module_of(network, node), TRANSPARENT):
        node = node.all_input_nodes[0]
    if isinstance(module_of(network, node), nn.ReLU):
        # A module of its own: the network may call one ReLU at several places.
        name = _free_name(network, f"{node.name}_straight")
        network.add_submodule(name, StraightThroughReLU())
        node.target = name


def insert_quantizer(
    network: fx.GraphModule, source: fx.Node, quantizer: Quantizer | ActivationQuantization
) -> fx.Node:
    """Call a new quantizer on a node's value; the caller rewires the users."""
    wrapped = quantizer
    if isinstance(quantizer, Quantizer):
        wrapped = ActivationQuantization(quantizer).train(network.training)
    name = _free_name(network, f"{source.name}_quant")
    network.add_submodule(name, wrapped)
    with network.graph.inserting_after(source):
        return network.graph.call_module(name, (source,))


def _free_name(network: fx.GraphModule, stem: str) -> str:
    name, count = stem, 1
    while hasattr(network, name):
        count += 1
        name = f"{stem}{count}"
    return name


def is_quantizer(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is an activation quantizer."""
    return isinstance(module_of(network, node), ActivationQuantization)


def reads_image(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node is the image, normalized or not: no weight layer stands before it."""
    if isinstance(module_of(network, node), nn.Conv2d | nn.Linear):
        return False
    return all(reads_image(network, source) for source in node.all_input_nodes)


def is_nonnegative(network: fx.GraphModule, node: fx.Node) -> bool:
    """Whether the graph alone shows that a tensor has no negative value."""
    module = module_of(network, node)
    if isinstance(module, NONNEGATIVE):
        return True
    if isinstance(module, nn.Hardtanh) and module.min_val >= 0:
        return True
    if isinstance(module, Elementwise) and module.function in NONNEGATIVE_FUNCTIONS:
        return True
    if isinstance(module, ActivationQuantization) and not module.quantizer.signed:
        return True
    through = (*TRANSPARENT, nn.AvgPool2d, nn.AdaptiveAvgPool2d, ActivationQuantization)
    joins = node.op == "call_function"  # sums, products, concatenations
    if isinstance(module, through) or joins:
        return all(is_nonnegative(network, source) for source in node.all_input_nodes)
    return False
