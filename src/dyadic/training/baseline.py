"""The float baseline: trained or loaded once, cached by what determines it and nothing else."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dyadic.errors import UserError
from dyadic.record.files import Damaged, clear_temporaries, read_sealed, write_sealed
from dyadic.record.identity import baseline_digest
from dyadic.schedules.schedule import Phase
from dyadic.training.checkpoint import load_tensors, save_tensors
from dyadic.training.evaluate import evaluate
from dyadic.training.finite import refuse_infinite
from dyadic.training.fit import Hardware, fit
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Curve, Data, Loss, OptimizerFactory, Training
from dyadic.training.processes import is_first, locked, told_by_first
from dyadic.training.weights import Weights

log = logging.getLogger(__name__)
WAITING = "waiting for another run that trains the same float baseline"
TRAINED = "trained here"


@dataclass(frozen=True)
class BaselineRecipe:
    """How the float network is trained (`conf/trainer/*.yaml`, `baseline`)."""

    epochs: int
    optimizer: OptimizerFactory
    curve: Curve
    loss: Loss = cross_entropy

    def check(self) -> None:
        """Raise UserError where a network could not be trained by this recipe."""
        if not isinstance(self.epochs, int) or self.epochs < 1:
            raise UserError(
                f"epochs={self.epochs} of the float network; training takes at least 1, and "
                "none where it is given (start=own start.weights=FILE)"
            )


@dataclass(frozen=True)
class Baseline:
    """A float network's state, its score on the test set in percent, and where it is from."""

    state: dict[str, torch.Tensor]
    top1: float
    top5: float
    epochs: int
    seconds: float
    origin: str


def baseline(
    network: Callable[[], nn.Module],
    data: Data,
    weights: Weights | None,
    recipe: BaselineRecipe,
    determined_by: dict[str, Any],
    hardware: Hardware,
    cache: Path,
) -> Baseline:
    """The cached baseline, or a new one; only one run makes it at a time.

    weights  are scored as they are, unless a layer starts anew; without any, or then, it is trained

    One that is finished is read without the lock, which may be another user's. A killed training
    resumes from its last epoch. The network is built after seeding by the caller.
    """
    directory = cache / baseline_digest(determined_by)
    if told_by_first((found := _kept(directory, determined_by)) is None):
        with locked(directory / "lock", WAITING):
            if told_by_first(_kept(directory, determined_by, log.warning) is None):
                _make(network(), data, weights, recipe, determined_by, hardware, directory)
        found = _kept(directory, determined_by)
    if found is None:
        raise UserError(f"{directory} has no whole baseline; run again")
    return found


def _kept(
    directory: Path, determined_by: dict[str, Any], say: Callable[..., None] = log.debug
) -> Baseline | None:
    """The baseline on disk; None where there is none, or, with a line, none that is whole."""
    try:
        facts = read_sealed(directory / "baseline.json")
        if baseline_digest(facts.get("determined_by") or {}) != baseline_digest(determined_by):
            raise Damaged(directory / "baseline.json", "it is of other choices")
        state = load_tensors(directory / "weights.pt")
        numbers = (facts[key] for key in ("top1", "top5", "epochs", "seconds"))
        return Baseline(state, *numbers, origin=facts.get("origin", TRAINED))
    except FileNotFoundError:
        return None
    except Damaged as error:
        say("%s; the float baseline is made again", error)
    except KeyError as error:
        say("%s has no %s; the float baseline is made again", directory, error)
    return None


def _make(
    network: nn.Module,
    data: Data,
    weights: Weights | None,
    recipe: BaselineRecipe,
    determined_by: dict[str, Any],
    hardware: Hardware,
    directory: Path,
) -> None:
    started = time.monotonic()
    if is_first():
        clear_temporaries(directory)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    complete = weights is not None and weights.load(network)
    make = _score if complete else _train
    facts = make(network, data, recipe, hardware, directory)
    facts["origin"] = TRAINED if weights is None else weights.origin
    refuse_infinite(told_by_first(facts.get("loss", 0.0)), f"float network, {facts['origin']}")
    facts["seconds"] = round(time.monotonic() - started, 1)
    if is_first():
        _write(network, facts | {"determined_by": determined_by}, directory)
    told_by_first(None)  # that the files are there


def _score(
    network: nn.Module, data: Data, recipe: BaselineRecipe, hardware: Hardware, directory: Path
) -> dict[str, Any]:
    if not is_first():
        return {}
    score = evaluate(network.to(hardware.device), data.test_batches())
    return {"loss": score.loss, "top1": score.top1, "top5": score.top5, "epochs": 0}


def _train(
    network: nn.Module, data: Data, recipe: BaselineRecipe, hardware: Hardware, directory: Path
) -> dict[str, Any]:
    recipe.check()
    phases = [Phase("float", recipe.epochs)]
    module = Training(network, data, phases, recipe.optimizer, recipe.curve, recipe.loss)
    fit(module, directory, hardware, "float baseline")
    return _score(network, data, recipe, hardware, directory) | {"epochs": recipe.epochs}


def _write(network: nn.Module, facts: dict[str, Any], directory: Path) -> None:
    state = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
    save_tensors(state, directory / "weights.pt")
    write_sealed(directory / "baseline.json", facts)
    (directory / "checkpoint" / "last.ckpt").unlink(missing_ok=True)
