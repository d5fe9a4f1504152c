"""From a configuration to a run: builds the parts, skips what is finished, prints the summary."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from dyadic.commands.folder import run_folder
from dyadic.commands.loggers import connected, quiet_lightning
from dyadic.commands.parts import part, plain
from dyadic.commands.unread import refuse_unread
from dyadic.data.few import TRIAL_STEPS, Few
from dyadic.errors import UserError
from dyadic.integer.engines.available import unavailable
from dyadic.models.normalize import normalized
from dyadic.record.files import clear_temporaries, write_text
from dyadic.record.fingerprint import of_source
from dyadic.record.schema import CONFIG, SUMMARY
from dyadic.record.show import finished, print_finished, print_summary
from dyadic.run.pipeline import Run, rehearse, train
from dyadic.run.summary import finish
from dyadic.schedules.schedule import Schedule
from dyadic.schedules.stretched import Stretched
from dyadic.training.baseline import BaselineRecipe
from dyadic.training.hardware import Hardware
from dyadic.training.processes import alone, is_first, locked
from dyadic.training.weights import StartingWeights

log = logging.getLogger(__name__)
LIBRARIES = ("dyadic.", "torchvision.")


def run(cfg: DictConfig) -> dict[str, Any]:
    """Run a configuration to its end and return its summary; a finished run is only read.

    On several devices the first process alone writes, and the others return an empty summary.
    """
    quiet_lightning()
    if cfg.trainer.hardware.devices == 1:
        alone()
    directory = run_folder(cfg)
    with locked(directory / "lock", "waiting for another process that computes this very run"):
        found = None if cfg.force or cfg.trial else finished(directory)
        if found is not None:
            if is_first():
                print_finished(found, directory)
            return found
        if missing := OmegaConf.missing_keys(cfg):  # which would otherwise fail late
            names = ", ".join(sorted(missing))
            raise UserError(f"no value for {names}; set it on the command line")
        return _first(cfg, directory) if is_first() else _other(cfg, directory)


def _first(cfg: DictConfig, directory: Path) -> dict[str, Any]:
    """The whole run, with its record."""
    if cfg.force or cfg.trial:  # or it would be resumed, or taken for finished
        for left in (directory / SUMMARY, directory / "checkpoint" / "last.ckpt"):
            left.unlink(missing_ok=True)
    clear_temporaries(directory)
    parts = build(cfg, directory)
    clear_temporaries(parts.curvatures, older=3600)
    rehearse(parts)
    if parts.deployment is not None:
        for reason in unavailable():
            log.warning("%s", reason)
    with connected(cfg, directory) as loggers:
        parts = replace(parts, loggers=loggers)
        parts.hardware.launch()
        write_text(directory / CONFIG, OmegaConf.to_yaml(cfg, resolve=True))
        result = finish(parts, train(parts), facts(cfg))
        for logger in loggers:
            logger.log_metrics({"final_top1": result["top1"], "top1_drop": result["top1_drop"]})
    print_summary(result, directory)
    return result


def _other(cfg: DictConfig, directory: Path) -> dict[str, Any]:
    """The part of a run that further processes take: the training, and its refusal."""
    parts = build(cfg, directory)
    rehearse(parts)
    parts.hardware.launch()
    train(parts)
    return {}


def build(cfg: DictConfig, directory: Path) -> Run:
    """Instantiate every part; a value that a constructor refuses is a UserError."""
    refuse_unread(cfg)
    hardware: Hardware = part(cfg.trainer.hardware, "trainer.hardware")
    data = part(cfg.dataset, "dataset", data_dir=cfg.data_dir, seed=cfg.seed)
    # What says which float network a run starts from.
    choices = {key: plain(cfg[key]) for key in ("dataset", "model", "seed")}
    weights = part(cfg.start, "start").weights(choices)
    return Run(
        name=cfg.name,
        directory=directory,
        cache=Path(cfg.results_dir, "trials" if cfg.trial else "", "baselines"),
        seed=cfg.seed,
        data=Few(data) if cfg.trial else data,
        model=lambda: _model(cfg.model, data),
        weights=weights,
        weight=part(cfg.quantizer.weight, "quantizer.weight"),
        activation=part(cfg.quantizer.activation, "quantizer.activation"),
        schedule=_schedule(cfg),
        allocation=part(cfg.allocation, "allocation"),
        sensitivity=_sensitivity(cfg),
        deployment=part(cfg.deploy, "deploy"),
        hardware=hardware,
        recipe=_recipe(cfg),
        optimizer=part(cfg.trainer.optimizer, "trainer.optimizer"),
        curve=part(cfg.trainer.curve, "trainer.curve"),
        epoch_share=1.0 if cfg.trial else cfg.trainer.epoch_share,
        distill=part(cfg.get("distillation"), "distillation"),
        baseline_determined_by=determined_by(cfg, choices, data, weights, hardware),
        trial=cfg.trial,
    )


def _schedule(cfg: DictConfig) -> Schedule:
    """The schedule in the epochs that are asked for; one a phase in a trial."""
    schedule = part(cfg.schedule, "schedule")
    if cfg.trial:
        return Stretched(schedule, None)
    return schedule if cfg.epochs is None else Stretched(schedule, cfg.epochs)


def _sensitivity(cfg: DictConfig) -> Any:
    """What weighs the layers; in a trial of a few probes, if it takes any."""
    chosen = cfg.get("sensitivity")
    few = {"most": TRIAL_STEPS} if cfg.trial and chosen is not None and "most" in chosen else {}
    return part(chosen, "sensitivity", **few)


def _recipe(cfg: DictConfig) -> BaselineRecipe:
    recipe = part(cfg.trainer.baseline, "trainer.baseline")
    return replace(recipe, epochs=1) if cfg.trial else recipe


def _model(config: DictConfig, data: Any) -> nn.Module:
    """The float network for a data set, its normalization in front."""
    arguments = OmegaConf.masked_copy(config, [str(key) for key in config if key != "name"])
    return normalized(part(arguments, "model", classes=data.classes, channels=data.channels), data)


def determined_by(
    cfg: DictConfig,
    choices: dict[str, Any],
    data: Any,
    weights: StartingWeights | None,
    hardware: Hardware,
) -> dict[str, Any]:
    """What a float baseline depends on: images, model, weights; where it is trained: how, where."""
    found = choices | {
        "images": data.fingerprint(),
        "source": _source(choices["model"]),
        "device": hardware.device.type,
        "threads": hardware.resolved_threads,
    }
    if weights is not None:
        found["weights_of_seed" if weights.of_seed else "weights"] = weights.sha256
        if not weights.adapts:
            return found
    # Each device normalizes its own part of a batch, so their number matters.
    several = {"devices": hardware.devices} if hardware.devices > 1 else {}
    baseline = plain(cfg.trainer.baseline)
    return found | {"baseline": baseline, "precision": hardware.resolved_precision, **several}


def _source(model: dict[str, Any]) -> str:
    """Digest of the source of a network that is neither ours nor `model=own`, which has its own."""
    module = str(model["_target_"]).rpartition(".")[0]
    return "" if module.startswith(LIBRARIES) else of_source(module)


def facts(cfg: DictConfig) -> dict[str, Any]:
    """The choices that a summary names."""
    return {
        "name": cfg.name,
        "dataset": cfg.dataset.name,
        "model": cfg.model.name,
        "method": cfg.method.name,
        "bits": cfg.bits,
        "seed": cfg.seed,
        "quantizer": {side: _target(cfg.quantizer[side]) for side in ("weight", "activation")},
        "schedule": _target(cfg.schedule),
        "allocation": _target(cfg.allocation),
    }


def _target(config: DictConfig | None) -> str | None:
    return None if config is None else str(config["_target_"]).rsplit(".", 1)[-1]
