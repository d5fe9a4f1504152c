"""Modules that are read as wholes: those whose behaviour their kind alone decides."""

from torch import Tensor, nn
from torch.nn.utils import parametrize

from dyadic.network.layers import LEAVES, NORMS


def is_leaf(module: nn.Module) -> bool:
    """A module of a kind that is known as a whole, with that kind's own behaviour."""
    kind = next((k for k in LEAVES if isinstance(module, k)), None)
    if kind is None or type(module).forward is not kind.forward:
        return False
    if parametrize.is_parametrized(module) or not isinstance(
        getattr(module, "weight", None), nn.Parameter | None
    ):
        return False  # a weight that is computed: the operator sees the value
    if isinstance(module, nn.Conv2d):
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    if isinstance(module, nn.PReLU):
        return module.num_parameters == 1
    return not (isinstance(module, nn.MaxPool2d) and module.return_indices)


def unusable(module: nn.Module, x: Tensor) -> str:
    """Why a module that is known cannot be used on a tensor of this rank, or at all; else empty."""
    if isinstance(module, NORMS) and module.running_mean is None:
        return "batch norm without running statistics; use track_running_stats=True"
    if isinstance(module, nn.Linear) and x.ndim != 2:
        return f"a fully connected layer on {x.ndim} dimensions; flatten to [N, features] first"
    if x.ndim not in (2, 4):
        return f"a tensor of {x.ndim} dimensions; [N, C, H, W] and [N, features] can be lowered"
    return ""
