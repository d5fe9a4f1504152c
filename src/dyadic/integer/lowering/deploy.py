"""Preparing a quantized network for integers: every tensor gets codes on one scale.

Training quantizes what the paper quantizes. An integer program needs more: the image, the residual
stream, the inputs of a concatenation and the logits are codes too. This module inserts what is
missing into a copy of the network and calibrates it; `lowering` then reads off the program.

- layers that read float activations get 8-bit ones (weight-only methods), float weights 8-bit ones;
- the operands of an addition or concatenation share one 16-bit scale (HAWQ-V3, section 3.2);
- a layer whose output is read by anything but one quantizer gets a 16-bit stream behind it;
- the logits are 16-bit codes on one scale.
"""

import operator
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from dyadic.errors import UserError
from dyadic.network.activations import ActivationQuantization, activation_quantizations
from dyadic.network.insert import (
    INPUT_BITS,
    insert_quantizer,
    is_quantizer,
    quantize_activations,
    quantize_weights,
)
from dyadic.network.layers import module_of
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.weights import weight_quantization
from dyadic.quantizers.quantizer import Quantizer
from dyadic.quantizers.uniform import Uniform, positive
from dyadic.quantizers.uniform_codebook import UniformCodebook

CHAIN = (nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Identity)


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
        scale = positive(self.margin * self.limit / largest)
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
                raise UserError(f"deploy.{name}={getattr(self, name)}; it must be 2 to 8")
        if not 8 <= self.stream_bits <= 16:
            raise UserError(f"deploy.stream_bits={self.stream_bits}; it must be 8 to 16")

    def prepare(
        self, network: QuantizedNetwork, batches: Iterable[Tensor]
    ) -> tuple[QuantizedNetwork, str]:
        """A copy with a quantizer wherever integers need one, calibrated on uint8 batches.

        Returns the copy in evaluation mode, and a note that says what was added for deployment.
        """
        deployed = network.clone().eval()
        trained = set(activation_quantizations(deployed))
        for quantization in activation_quantizations(deployed).values():
            quantization.enabled = True
        note = self._complete_layers(deployed)
        body = deployed.body
        _hoist_over_pools(body)
        self._join_operands(body)
        self._close_chains(body)
        body.graph.lint()
        body.recompile()
        added = activation_quantizations(deployed).keys() - trained
        deployed.calibrate(batches, only=added)
        return deployed, note

    def _complete_layers(self, network: QuantizedNetwork) -> str:
        float_weights = [x for x in network.layers if weight_quantization(x.module) is None]
        float_inputs = [x for x in network.layers if not _reads_codes(network.body, x.node)]
        bits = {x.name: (self.weight_bits, self.activation_bits) for x in network.layers}
        quantize_weights(float_weights, _per_channel, bits)
        quantize_activations(network.body, float_inputs, Uniform, bits)
        notes = [
            f"{self.weight_bits}-bit weights added to {len(float_weights)} layers",
            f"{self.activation_bits}-bit activations added to {len(float_inputs)} layers",
        ]
        counts = (len(float_weights), len(float_inputs))
        return "; ".join(text for text, count in zip(notes, counts, strict=True) if count)

    def _join_operands(self, body: fx.GraphModule) -> None:
        """One shared stream quantizer on all inputs of every addition and concatenation."""
        for node in list(body.graph.nodes):
            if node.op == "call_function" and node.target in (operator.add, torch.cat):
                shared = ActivationQuantization(Stream(self.stream_bits))
                for source in dict.fromkeys(node.all_input_nodes):
                    quant = insert_quantizer(body, source, shared)
                    node.replace_input_with(source, quant)

    def _close_chains(self, body: fx.GraphModule) -> None:
        """A stream behind each layer (and the image) that does not feed exactly one quantizer."""
        for node in list(body.graph.nodes):
            module = module_of(body, node)
            if isinstance(module, nn.Conv2d | nn.Linear):
                end, stream = _chain_end(body, node), Stream(self.stream_bits)
            elif node.op == "placeholder":
                end, stream = _chain_end(body, next(iter(node.users))), Stream(INPUT_BITS, 1.0)
            else:
                continue
            users = list(end.users)
            if len(users) != 1 or not is_quantizer(body, users[0]):
                quant = insert_quantizer(body, end, stream)
                end.replace_all_uses_with(quant, delete_user_cb=lambda user, q=quant: user is not q)


def _per_channel(bits: int) -> Quantizer:
    return Uniform(bits=bits, granularity="per_channel")


def _reads_codes(body: fx.GraphModule, node: fx.Node) -> bool:
    return is_quantizer(body, node.all_input_nodes[0])


def _chain_end(body: fx.GraphModule, node: fx.Node) -> fx.Node:
    """The last of the batch norm, ReLU and dropout that alone read a layer's output in turn."""
    while len(node.users) == 1:
        user = next(iter(node.users))
        if not isinstance(module_of(body, user), CHAIN):
            break
        node = user
    return node


def _hoist_over_pools(body: fx.GraphModule) -> None:
    """Quantize before a max pool instead of after it, where nothing else reads the pool.

    Both orders give the same codes, since quantizers are monotone; this one pools small integers.
    """
    for node in list(body.graph.nodes):
        pool = node.all_input_nodes[0] if is_quantizer(body, node) else None
        if pool is None or not isinstance(module_of(body, pool), nn.MaxPool2d):
            continue
        source = pool.all_input_nodes[0]
        if len(pool.users) == 1 and len(source.users) == 1:
            node.replace_all_uses_with(pool)
            node.replace_input_with(pool, source)
            pool.replace_input_with(source, node)
            node.append(pool)
            source.append(node)
