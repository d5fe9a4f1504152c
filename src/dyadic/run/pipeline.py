"""One run, from the float baseline to the record: the way data flows, step by step."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from dyadic.allocation.allocation import Allocation, Constrained
from dyadic.allocation.problem import Problem, problem_of
from dyadic.allocation.sensitivity.sample import Sample
from dyadic.allocation.sensitivity.sensitivity import Sensitivity
from dyadic.errors import UserError
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.rehearsal import Rehearsal, rehearse_integers
from dyadic.network.insert import ActivationFactory, Bits, WeightFactory
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.reading.equivalence import CALIBRATION
from dyadic.network.trace import trace
from dyadic.run.fits import check_fit
from dyadic.schedules.post_training import re_estimate
from dyadic.schedules.schedule import Schedule
from dyadic.training.baseline import Baseline, BaselineJob, BaselineRecipe
from dyadic.training.evaluate import Score, evaluate
from dyadic.training.fit import fit
from dyadic.training.hardware import Hardware, keep_memory
from dyadic.training.loss import cross_entropy
from dyadic.training.module import Curve, OptimizerFactory, Training, parameter_groups
from dyadic.training.weights import StartingWeights

log = logging.getLogger(__name__)
SENSITIVITY_IMAGES = 256
REHEARSED = 8  # images that stand for all before training


@dataclass(frozen=True)
class Run:
    """Everything that one run consists of, already built; the entry point fills it from conf/.

    model      builds the float network for the data set, after seeding
    weights    of the float network; None where it is trained
    weight, activation   quantizer factories; None leaves that side float
    epoch_share share of the training images that an epoch of the fine-tuning sees
    distill    makes a loss from a float teacher, None for plain cross-entropy
    baseline_determined_by   what the float baseline depends on, plain values
    trial      a few steps on a few images, whose numbers mean nothing
    """

    name: str
    directory: Path
    cache: Path
    seed: int
    data: Any
    model: Callable[[], nn.Module]
    weights: StartingWeights | None
    weight: WeightFactory | None
    activation: ActivationFactory | None
    schedule: Schedule
    allocation: Allocation
    sensitivity: Sensitivity | None
    deployment: Deployment | None
    hardware: Hardware
    recipe: BaselineRecipe
    optimizer: OptimizerFactory
    curve: Curve
    epoch_share: float
    distill: Callable[..., nn.Module] | None
    baseline_determined_by: dict[str, Any]
    trial: bool = False
    loggers: list[Logger] = field(default_factory=list)

    @property
    def curvatures(self) -> Path:
        """Where the layers' curvatures are kept, for all runs of these results."""
        return self.cache.parent / "cache"


@dataclass(frozen=True)
class Trained:
    """A network after its schedule: its scores, its bits, what training said.

    sensitivity   of each layer, at widths that all of them share; empty where none was chosen
    budget        what the widths use of each budget, as `Constrained.spent` says; empty without one
    """

    network: QuantizedNetwork
    bits: dict[str, Bits]
    sensitivity: dict[str, float]
    baseline: Baseline
    score: Score
    history: list[dict]
    seconds: dict[str, float]
    budget: dict[str, dict[str, float | None]] = field(default_factory=dict)


def rehearse(run: Run) -> Rehearsal | None:
    """Meet a choice that cannot be before anything is trained: a layer, a width, a budget.

    Widths are assigned as if no layer were sensitive, and an untrained network is quantized,
    lowered, proved and run by every engine; None where it is not deployed.
    """
    if not 0 < run.epoch_share <= 1:
        raise UserError(f"epoch_share={run.epoch_share}; a share, above 0 up to 1")
    model = run.model()
    if run.weights is None or not run.weights.load(model):
        run.recipe.check()
    check_fit(model, run.data, run.hardware.devices)
    network = _network(run, model)
    omega = _no_omega if run.sensitivity is None else lambda *choice: 0.0
    bits = run.allocation.assign(problem_of(network, omega))
    network.quantize(bits, run.weight, run.activation)
    rehearsal = None
    if run.deployment is not None:
        images = calibration_images(run.data, REHEARSED)
        rehearsal = rehearse_integers(network, run.deployment, images)
    run.schedule.phases(network)
    for name, optimizer in (("the baseline's", run.recipe.optimizer), ("the", run.optimizer)):
        try:
            optimizer(parameter_groups(network))
        except (TypeError, ValueError) as error:
            raise UserError(f"{name} optimizer: {error}") from error
    return rehearsal


def train(run: Run) -> Trained:
    """Baseline, quantization and fine-tuning under the schedule, then evaluation in float32."""
    float_run = float_baseline(run)
    started = time.monotonic()
    network, teacher = float_network(run, float_run), float_network(run, float_run)
    images = calibration_images(run.data, 1024)
    problem = allocation_problem(run, network)
    bits = run.allocation.assign(problem)
    sensitivity = _sensitivity(run, problem, bits)
    _quantize(run, network, bits, images)
    history = _fine_tune(run, network, teacher, images)
    quantized = time.monotonic()
    score = evaluate(network, run.data.test_batches())
    seconds = {  # of all epochs, those before an interruption too
        "baseline": float_run.seconds,
        "quantize": round(sum(row["seconds"] for row in history) or quantized - started, 1),
        "evaluate": round(time.monotonic() - quantized, 1),
    }
    chosen = run.allocation
    budget = chosen.spent(problem, bits) if isinstance(chosen, Constrained) else {}
    return Trained(network, bits, sensitivity, float_run, score, history, seconds, budget)


def float_baseline(run: Run) -> Baseline:
    """Threads, memory and seed as the run wants them; then its float network, trained or loaded."""
    torch.set_num_threads(run.hardware.resolved_threads)
    keep_memory()
    pl.seed_everything(run.seed, workers=True, verbose=False)
    chosen = (run.data, run.weights, run.recipe, run.baseline_determined_by)
    return BaselineJob(run.model, *chosen, run.hardware, run.cache).run()


def float_network(run: Run, trained: Baseline) -> QuantizedNetwork:
    """The trained float network, traced; a fresh copy at each call."""
    model = run.model()
    model.load_state_dict(trained.state)
    network = _network(run, model)
    network.to(run.hardware.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if run.trial and trained.epochs:
        # After two steps running statistics are still near 0 and 1, with which ranges mean nothing.
        re_estimate(network, calibration_images(run.data, CALIBRATION).to(run.hardware.device))
    return network


def _network(run: Run, model: nn.Module) -> QuantizedNetwork:
    images = calibration_images(run.data, CALIBRATION)
    return QuantizedNetwork(trace(model, images), run.data.image_shape)


def calibration_images(data: Any, count: int) -> Tensor:
    """The data set's calibration images in one tensor, uint8 [N, C, H, W]."""
    return torch.cat([images for images, _ in data.calibration_batches(count)])


def allocation_problem(run: Run, network: QuantizedNetwork) -> Problem:
    """What the allocation decides over."""
    omega = _no_omega if run.sensitivity is None else run.sensitivity(_sample(run, network))
    return problem_of(network, omega)


def _sensitivity(run: Run, problem: Problem, bits: dict[str, Bits]) -> dict[str, float]:
    """Omega of every layer at the narrowest widths in use: only at one width can layers compare."""
    if run.sensitivity is None:
        return {}
    narrowest = min(bits.values(), key=prod)
    return {layer.name: problem.omega(layer.name, *narrowest) for layer in problem.layers}


def _sample(run: Run, network: QuantizedNetwork) -> Sample:
    """What the layers' sensitivity is measured on: the float network and training images."""
    batches = list(run.data.calibration_batches(SENSITIVITY_IMAGES))
    device = run.hardware.device
    return Sample(
        model=network.body,
        layers={layer.name: layer.module for layer in network.layers},
        images=torch.cat([images for images, _ in batches]).to(device),
        labels=torch.cat([labels for _, labels in batches]).to(device),
        weight=run.weight,
        activation=run.activation,
        cache=run.curvatures,
        progress=log.info,
    )


def _no_omega(layer: str, weight: int, activation: int) -> float:
    raise UserError("this allocation weighs layers; choose a sensitivity, such as hessian")


def _quantize(run: Run, network: QuantizedNetwork, bits: dict[str, Bits], images: Tensor) -> None:
    network.quantize(bits, run.weight, run.activation).to(run.hardware.device)
    network.calibrate(images.to(run.hardware.device).split(256))


def _fine_tune(
    run: Run, network: QuantizedNetwork, teacher: nn.Module, images: Tensor
) -> list[dict]:
    run.schedule.begin(network)
    phases, history = run.schedule.phases(network), []
    if any(phase.epochs for phase in phases):
        loss = run.distill(teacher=teacher) if run.distill is not None else cross_entropy
        module = Training(
            network, run.data, phases, run.optimizer, run.curve, loss, run.epoch_share
        )
        history = fit(
            module, run.directory, run.hardware, run.name, run.schedule, images, run.loggers
        )
        network.to(run.hardware.device)
    run.schedule.finish(network, images.to(run.hardware.device))
    return history
