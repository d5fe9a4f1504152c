"""The float baseline: trained once, cached by everything that determines it and nothing else."""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dyadic.record.files import write_atomically, write_json
from dyadic.schedules.schedule import Phase
from dyadic.training.evaluate import evaluate
from dyadic.training.fit import Hardware, fit
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Curve, Data, Loss, OptimizerFactory, Training
from dyadic.training.processes import is_first, locked, told_by_first

WAITING = "waiting for another run that trains the same float baseline"


@dataclass(frozen=True)
class BaselineRecipe:
    """How the float network is trained (`conf/trainer/*.yaml`, `baseline`)."""

    epochs: int
    optimizer: OptimizerFactory
    curve: Curve
    loss: Loss = cross_entropy


@dataclass(frozen=True)
class Baseline:
    """A trained float network's state, and its score on the test set in percent."""

    state: dict[str, torch.Tensor]
    top1: float
    top5: float
    epochs: int
    seconds: float


def key_of(determined_by: dict[str, Any]) -> str:
    """Hash of everything that determines a baseline; equal choices share one."""
    return hashlib.sha256(json.dumps(determined_by, sort_keys=True).encode()).hexdigest()[:16]


def baseline(
    network: Callable[[], nn.Module],
    data: Data,
    recipe: BaselineRecipe,
    determined_by: dict[str, Any],
    hardware: Hardware,
    cache: Path,
) -> Baseline:
    """The cached baseline, or a newly trained one; only one run trains it at a time.

    A killed training resumes from its last epoch. The network is built after seeding by the caller.
    """
    directory = cache / key_of(determined_by)
    with locked(directory / "lock", WAITING):
        if told_by_first(not (directory / "baseline.json").exists()):
            _train(network(), data, recipe, determined_by, hardware, directory)
    facts = json.loads((directory / "baseline.json").read_text())
    state = torch.load(directory / "weights.pt", map_location="cpu", weights_only=True)
    numbers = (facts["top1"], facts["top5"], facts["epochs"], facts["seconds"])
    return Baseline(state, *numbers)


def _train(
    network: nn.Module,
    data: Data,
    recipe: BaselineRecipe,
    determined_by: dict[str, Any],
    hardware: Hardware,
    directory: Path,
) -> None:
    started = time.monotonic()
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    phases = [Phase("float", recipe.epochs)]
    module = Training(network, data, phases, recipe.optimizer, recipe.curve, recipe.loss)
    fit(module, directory, hardware, "float baseline")
    if is_first():
        score = evaluate(network.to(hardware.device), data.test_batches())
        facts = {"top1": score.top1, "top5": score.top5, "epochs": recipe.epochs}
        seconds = round(time.monotonic() - started, 1)
        _write(network, facts | {"seconds": seconds, "determined_by": determined_by}, directory)
    told_by_first(None)  # that the files are there


def _write(network: nn.Module, facts: dict[str, Any], directory: Path) -> None:
    file = io.BytesIO()  # given a path, torch does not say that the disk is full
    torch.save({k: v.cpu().contiguous() for k, v in network.state_dict().items()}, file)
    with write_atomically(directory / "weights.pt") as temporary:
        temporary.write_bytes(file.getbuffer())
    write_json(directory / "baseline.json", facts)
    (directory / "checkpoint" / "last.ckpt").unlink(missing_ok=True)
