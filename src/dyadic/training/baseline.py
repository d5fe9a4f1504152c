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
from dyadic.training.fit import fit
from dyadic.training.hardware import Hardware
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Curve, Data, Loss, OptimizerFactory, Training
from dyadic.training.processes import from_first, is_first, locked
from dyadic.training.weights import StartingWeights

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


@dataclass(frozen=True)
class BaselineJob:
    """A float baseline that is wanted, and where it is kept.

    network  builds it, after seeding by the caller
    weights  are scored as they are, unless a layer starts anew; without any, or then, it is trained
    """

    network: Callable[[], nn.Module]
    data: Data
    weights: StartingWeights | None
    recipe: BaselineRecipe
    determined_by: dict[str, Any]
    hardware: Hardware
    cache: Path

    @property
    def directory(self) -> Path:
        """Its place in the cache."""
        return self.cache / baseline_digest(self.determined_by)

    def run(self) -> Baseline:
        """The cached baseline, or a new one; only one run makes it at a time.

        One that is finished is read without the lock, which may be another user's. A killed
        training resumes from its last epoch.
        """
        if from_first((found := self._kept()) is None):
            with locked(self.directory / "lock", WAITING):
                if from_first(self._kept(log.warning) is None):
                    self._make(self.network())
            found = self._kept()
        if found is None:
            raise UserError(f"{self.directory} has no whole baseline; run again")
        return found

    def _kept(self, say: Callable[..., None] = log.debug) -> Baseline | None:
        """The baseline on disk; None where there is none, or, with a line, none that is whole."""
        path = self.directory / "baseline.json"
        try:
            facts = read_sealed(path)
            if baseline_digest(facts.get("determined_by") or {}) != self.directory.name:
                raise Damaged(path, "it is of other choices")
            state = load_tensors(self.directory / "weights.pt")
            numbers = (facts[key] for key in ("top1", "top5", "epochs", "seconds"))
            return Baseline(state, *numbers, origin=facts.get("origin", TRAINED))
        except FileNotFoundError:
            return None
        except Damaged as error:
            say("%s; the float baseline is made again", error)
        except KeyError as error:
            say("%s has no %s; the float baseline is made again", self.directory, error)
        return None

    def _make(self, network: nn.Module) -> None:
        started = time.monotonic()
        if is_first():
            clear_temporaries(self.directory)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        complete = self.weights is not None and self.weights.load(network)
        facts: dict[str, Any] = {"epochs": 0 if complete else self._train(network)}
        facts["origin"] = TRAINED if self.weights is None else self.weights.origin
        if is_first():
            score = evaluate(network.to(self.hardware.device), self.data.test_batches())
            facts |= {"loss": score.loss, "top1": score.top1, "top5": score.top5}
        refuse_infinite(from_first(facts.get("loss", 0.0)), f"float network, {facts['origin']}")
        facts["seconds"] = round(time.monotonic() - started, 1)
        if is_first():
            self._write(network, facts | {"determined_by": self.determined_by})
        from_first(None)  # that the files are there

    def _train(self, network: nn.Module) -> int:
        """Train through all epochs; returns their number."""
        recipe = self.recipe
        recipe.check()
        phases = [Phase("float", recipe.epochs)]
        module = Training(network, self.data, phases, recipe.optimizer, recipe.curve, recipe.loss)
        fit(module, self.directory, self.hardware, "float baseline")
        return recipe.epochs

    def _write(self, network: nn.Module, facts: dict[str, Any]) -> None:
        state = {k: v.cpu().contiguous() for k, v in network.state_dict().items()}
        save_tensors(state, self.directory / "weights.pt")
        write_sealed(self.directory / "baseline.json", facts)
        (self.directory / "checkpoint" / "last.ckpt").unlink(missing_ok=True)
