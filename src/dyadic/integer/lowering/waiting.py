"""What a value is before it is lowered: codes, or what waits for a quantizer, and what it takes in.

`deploy` asks where a quantizer is missing, `lower` then does what was found possible here.
"""

import operator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import fx, nn

from dyadic.models.normalize import NormalizePixels
from dyadic.network.activations import ActivationQuantization
from dyadic.network.fold import affine
from dyadic.network.forms import Elementwise, Scale, Shift
from dyadic.network.layers import ACTIVATIONS, NORMS, NOTHING, module_of

Kind = Literal["codes", "layer", "image", "product", "table", "clamped"]
AFFINE = (NORMS, Scale, Shift)


@dataclass(frozen=True)
class Form:
    """What a node's value is; `limited` where a ReLU or the like already stands behind it."""

    kind: Kind
    limited: bool = False


CODES = Form("codes")


def limits(module: nn.Module | None) -> tuple[float, float] | None:
    """The limits of ReLU, ReLU6, Hardtanh; None for any other module."""
    if isinstance(module, nn.Hardtanh):
        return module.min_val, module.max_val
    return (0.0, torch.inf) if isinstance(module, nn.ReLU) else None


def is_function(module: nn.Module | None) -> bool:
    """Whether a module is a function of single values that needs a table."""
    return isinstance(module, (*ACTIVATIONS, Elementwise)) and limits(module) is None


def affine_of(module: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch norm, a factor or a summand as multiplier and shift, float64 [1] or [C]."""
    if isinstance(module, NORMS):
        return affine(module)
    assert isinstance(module, Scale | Shift)
    values = module.channels()
    if isinstance(module, Scale):
        return values, torch.zeros_like(values)
    return torch.ones_like(values), values


def form_of(body: fx.GraphModule, node: fx.Node, source: Form) -> Form | None:
    """What a node makes of its input; None where the input needs a quantizer first."""
    module = module_of(body, node)
    if isinstance(module, ActivationQuantization):
        return CODES
    if isinstance(module, NOTHING):
        return source
    if isinstance(module, NormalizePixels):
        return Form("image")
    if limits(module) is not None:
        return _limited(module, source)
    if isinstance(module, AFFINE):
        return _affine(module, source)
    if is_function(module):
        return Form("table") if source.kind in ("codes", "table") else None
    if source != CODES:
        return None  # everything else reads codes
    if isinstance(module, nn.Conv2d | nn.Linear):
        return Form("layer")
    return Form("product") if node.target is operator.mul else CODES


def _limited(module: nn.Module | None, source: Form) -> Form:
    if source.kind == "table":
        return source
    if source != CODES:
        return Form(source.kind, True)
    return CODES if isinstance(module, nn.ReLU) else Form("clamped", True)


def _affine(module: nn.Module, source: Form) -> Form | None:
    multiplier, shift = affine_of(module)
    alone, moved = multiplier.numel() == 1, bool(shift.any())
    if source == CODES:
        return CODES if alone and not moved and multiplier.item() > 0 else Form("layer")
    if source.kind == "table":
        return source if alone else None
    if source.limited:
        return None
    if source.kind == "product":
        return source if alone and not moved else None
    if source.kind == "image":
        return source if bool((multiplier != 0).all()) else None
    return source if source.kind == "layer" else None


def made_by(body: fx.GraphModule, node: fx.Node, forms: dict[fx.Node, Form]) -> Form | None:
    """What a node's value is, given those of its inputs; None where these need quantizers."""
    if not node.all_input_nodes:
        return Form("image")
    sources = [forms[source] for source in node.all_input_nodes]
    if len(sources) > 1 and any(source != CODES for source in sources):
        return None
    return form_of(body, node, sources[0])


def forms_of(body: fx.GraphModule) -> dict[fx.Node, Form]:
    """What each node's value is once quantizers stand where they are needed."""
    forms: dict[fx.Node, Form] = {}
    for node in body.graph.nodes:
        forms[node] = made_by(body, node, forms) or CODES
    return forms
