"""Preparing a quantized network for integers: every tensor gets codes on one scale.

Training quantizes what the paper quantizes. An integer program needs more: the image, the residual
stream, the inputs of a concatenation and the logits are codes too. This module inserts what is
missing into a copy of the network and calibrates it; `lowering` then reads off the program.

- layers that read float activations get 8-bit ones (weight-only methods), float weights 8-bit ones;
- the operands of an addition or concatenation share one 16-bit scale (HAWQ-V3, section 3.2);
- a function that needs a table, and both factors of a product, read codes of 8 bits;
- what waits for codes (a layer, an affine map, a product, a function) and is read by anything but
  one quantizer gets a 16-bit stream behind it;
- the logits are 16-bit codes on one scale.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from dyadic.errors import UserError
from dyadic.integer.lowering.waiting import CODES, Form, form_of, forms_of, is_function, made_by
from dyadic.network.activations import ActivationQuantization, activation_quantizations, enable
from dyadic.network.forms import Pad, Pixels, Repeat, Select
from dyadic.network.insert import (
    INPUT_BITS,
    insert_quantizer,
    is_nonnegative,
    is_quantizer,
    quantize_activations,
    quantize_weights,
)
from dyadic.network.layers import module_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.weights import weight_quantization
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.uniform import Uniform
from dyadic.quantizers.uniform_codebook import UniformCodebook

MOVES = (nn.MaxPool2d, Select, Pad, Repeat, Pixels)
LARGEST_TABLE_BITS = 8


class Stream(Quantizer):
    """Wide symmetric codes for values between layers, with room beyond the calibrated range.

    scale = margin * max|x| / (2^(bits - 1) - 1), max|x| over everything observed.
    """

    limit: Tensor

    def __init__(self, bits: int = 16, margin: float = 2.0) -> None:
        super().__init__(bits)
        self.margin = margin
        self.register_buffer("limit", torch.zeros(()))

    def observe(self, x: Tensor) -> None:
        self.limit = torch.maximum(self.limit, x.abs().amax().to(self.limit))

    def codebook(self, x: Tensor | None = None) -> UniformCodebook:
        largest = 2 ** (self.bits - 1) - 1
        scale = self.margin * self.limit / largest
        return UniformCodebook(scale, -largest, largest, self.bits)


@dataclass(frozen=True)
class Deployment:
    """How a network gets onto integers (`conf/deploy`).

    activation_bits for layers that were trained with float activations
    weight_bits     for layers that were trained with float weights
    stream_bits     between layers: residual additions, concatenations, logits
    images          calibration images
    """

    activation_bits: int = 8
    weight_bits: int = 8
    stream_bits: int = 16
    images: int = 512

    def __post_init__(self) -> None:
        for name in ("activation_bits", "weight_bits"):
            if not 2 <= getattr(self, name) <= 8:
                raise UserError(f"{name}={getattr(self, name)}; it must be 2 to 8")
        if not 8 <= self.stream_bits <= 16:
            raise UserError(f"stream_bits={self.stream_bits}; it must be 8 to 16")

    @parametrize.cached()
    def prepare(
        self, network: QuantizedNetwork, batches: Iterable[Tensor]
    ) -> tuple[QuantizedNetwork, str]:
        """A copy with a quantizer wherever integers need one, calibrated on uint8 batches.

        Returns the copy in evaluation mode, and a note that says what was added for deployment.
        """
        deployed = network.clone().eval()
        trained = set(activation_quantizations(deployed))
        enable(deployed, True)
        body = deployed.body
        notes = [*self._complete_layers(deployed), *self._narrow_operands(body)]
        _hoist(body)
        self._join_operands(body)
        self._close(body)
        body.graph.lint()
        body.recompile()
        added = activation_quantizations(deployed).keys() - trained
        deployed.calibrate(batches, only=added)
        return deployed, "; ".join(notes)

    def _complete_layers(self, network: QuantizedNetwork) -> list[str]:
        float_weights = [x for x in network.layers if weight_quantization(x.module) is None]
        body, layers = network.body, network.layers
        float_inputs = [
            x for x in layers if not all(is_quantizer(body, n.all_input_nodes[0]) for n in x.nodes)
        ]
        bits = {x.name: (self.weight_bits, self.activation_bits) for x in network.layers}
        quantize_weights(float_weights, partial(Uniform, granularity="per_channel"), bits)
        quantize_activations(network.body, float_inputs, Uniform, bits)
        notes = [
            f"{self.weight_bits}-bit weights added to {len(float_weights)} layers",
            f"{self.activation_bits}-bit activations added to {len(float_inputs)} layers",
        ]
        counts = (len(float_weights), len(float_inputs))
        return [text for text, count in zip(notes, counts, strict=True) if count]

    def _narrow_operands(self, body: fx.GraphModule) -> list[str]:
        """Codes of few bits in front of every product, and of functions that no other one feeds."""
        forms, placed, count = forms_of(body), dict[fx.Node, fx.Node](), 0
        for node in list(body.graph.nodes):
            function = is_function(module_of(body, node))
            if not function and node.target is not operator.mul:
                continue
            count += 1
            for source in dict.fromkeys(node.all_input_nodes):
                fed = function and forms[source].kind == "table" and len(source.users) == 1
                if fed or _is_narrow(body, source):
                    continue
                if source not in placed:
                    signed = not is_nonnegative(body, source)
                    quantizer = Uniform(self.activation_bits, signed=signed, momentum=None)
                    placed[source] = insert_quantizer(body, source, quantizer)
                node.replace_input_with(source, placed[source])
        text = f"{self.activation_bits}-bit codes added to {count} functions and products"
        return [text] if placed else []

    def _join_operands(self, body: fx.GraphModule) -> None:
        """One shared stream quantizer on all inputs of every addition and concatenation."""
        for node in list(body.graph.nodes):
            if node.op == "call_function" and node.target in (operator.add, torch.cat):
                shared = ActivationQuantization(Stream(self.stream_bits))
                for source in dict.fromkeys(node.all_input_nodes):
                    quant = insert_quantizer(body, source, shared)
                    node.replace_input_with(source, quant)

    def _close(self, body: fx.GraphModule) -> None:
        """A stream behind every value that waits for codes and that no single reader takes in."""
        forms: dict[fx.Node, Form] = {}
        for node in list(body.graph.nodes):
            if node.op == "output":
                continue
            form = forms[node] = made_by(body, node, forms) or CODES
            readers = list(node.users)
            if form == CODES or (len(readers) == 1 and form_of(body, readers[0], form)):
                continue
            stream = Stream(self.stream_bits)
            if form.kind == "image":
                stream = Stream(INPUT_BITS, 1.0)
            quant = insert_quantizer(body, node, stream)
            node.replace_all_uses_with(quant, delete_user_cb=lambda user, q=quant: user is not q)
            forms[quant] = CODES


def _is_narrow(body: fx.GraphModule, node: fx.Node) -> bool:
    """Whether a node gives uniform codes of at most 8 bits."""
    module = module_of(body, node)
    if not isinstance(module, ActivationQuantization):
        return False
    return isinstance(module.quantizer, Uniform) and module.quantizer.bits <= LARGEST_TABLE_BITS


def _hoist(body: fx.GraphModule) -> None:
    """Quantize before a max pool or a movement instead of after it, where nothing else reads it.

    Both orders give the same codes, since quantizers are monotone; this one moves small integers.
    """
    for node in list(body.graph.nodes):
        while is_quantizer(body, node):
            moved = node.all_input_nodes[0]
            if not isinstance(module_of(body, moved), MOVES) or len(moved.users) > 1:
                break
            source = moved.all_input_nodes[0]
            if len(source.users) > 1:
                break
            node.replace_all_uses_with(moved)
            node.replace_input_with(moved, source)
            moved.replace_input_with(source, node)
            node.append(moved)
            source.append(node)
