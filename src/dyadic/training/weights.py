"""Weights of a float network from a file: read without unpickling, and fitted to the network."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from dyadic.errors import UserError, first_line

State = dict[str, Tensor]
NAMED = 3  # so many tensors that do not fit are named


@dataclass(frozen=True)
class StartingWeights:
    """Weights to start from, under the names that the network itself gives them.

    origin   where they are from, for the record and the screen
    sha256   of their file
    mean_std normalization [2][C] that they were trained with; None: the data set's
    of_seed  they are of one seed among others
    adapts   the first convolution is summed over the channels for grey images; where it is another
             one, and where the last layer gives other classes, these layers start anew
    """

    state: State
    origin: str
    sha256: str
    mean_std: list[list[float]] | None = None
    adapts: bool = False
    of_seed: bool = False

    def load(self, network: nn.Module) -> bool:
        """Load into a network from `dyadic.models.normalized`; whether no layer starts anew.

        Raises UserError that names the first tensors that do not fit.
        """
        body = network.get_submodule("body")
        state, anew = _adapted(self.state, body) if self.adapts else (self.state, set())
        _check_fits(state, body, anew, self.origin)
        body.load_state_dict(state, strict=False)
        if self.mean_std is not None:
            _set_statistics(network.get_submodule("normalize"), torch.tensor(self.mean_std))
        return not anew


def read_state(path: Path) -> tuple[State, str]:
    """The tensors in a file by name, on the CPU, and the file's sha256; nothing is unpickled.

    Raises UserError where the file is missing, damaged, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"the weights {path} cannot be read: {error.strerror}") from None
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors(content)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle, header and storage errors mean the same to the user
        raise UserError(
            f"{path} holds no weights ({first_line(error)[:100]}); save model.state_dict() with "
            "torch.save, or as .safetensors"
        ) from None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UserError(f"{path} does not map names to tensors; save model.state_dict()")
    return dict(state), hashlib.sha256(content).hexdigest()


def _set_statistics(normalize: nn.Module, mean_std: Tensor) -> None:
    channels = normalize.get_buffer("mean").numel()
    if mean_std.shape[1] != channels:  # grey: what the channels have in common
        mean_std = mean_std.mean(1, keepdim=True).expand(2, channels)
    for name, values in zip(("mean", "std"), mean_std, strict=True):
        normalize.get_buffer(name).copy_(values.view(1, -1, 1, 1))


def _adapted(state: State, body: nn.Module) -> tuple[State, set[str]]:
    """Weights for the first convolution's channels, and the names of what starts anew."""
    layers = {k: m for k, m in body.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    first, last = next(iter(layers)), next(reversed(layers))
    key = f"{first}.weight"
    found, wanted = state.get(key), layers[first].weight
    if found is not None and found.shape[2:] == wanted.shape[2:]:
        if wanted.shape[1] == 1:  # a grey image then gives what its equal channels would have given
            state = state | {key: found.sum(1, keepdim=True)}
        elif wanted.shape[1] != found.shape[1]:
            raise UserError(
                f"these weights read 3 channels, or 1 by summing, not {wanted.shape[1]}"
            )
    own = body.state_dict()
    anew = {
        name
        for name in own
        if name.rpartition(".")[0] in (first, last)
        and name in state
        and state[name].shape != own[name].shape
    }
    return {k: v for k, v in state.items() if k not in anew}, anew


def _check_fits(state: State, body: nn.Module, anew: set[str], origin: str) -> None:
    own = {k: tuple(v.shape) for k, v in body.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in state.items()}
    counters = {k for k in own if k.endswith("num_batches_tracked")}  # of old files; no weights
    wrong = [f"{k} is missing" for k in own if k not in given.keys() | anew | counters]
    wrong += [f"the network has no {k}" for k in given if k not in own]
    wrong += [f"{k} is not finite" for k, v in state.items() if not torch.isfinite(v).all()]
    wrong += [
        f"{k} is {_by(given[k])}, not {_by(own[k])}"
        for k in own
        if k in given and given[k] != own[k]
    ]
    if wrong:
        more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise UserError(f"{origin} does not fit the network: {'; '.join(wrong[:NAMED])}{more}")


def _by(shape: tuple[int, ...]) -> str:
    """A shape in words.

    >>> _by((64, 3, 7, 7)), _by(())
    ('64x3x7x7', 'one number')
    """
    return "x".join(map(str, shape)) or "one number"
