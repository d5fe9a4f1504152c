"""What a run is, by one rule: what names it, what it may be compared with, where it starts from.

Digests of plain values, so that neither the order of a file nor the place of a class in this
library makes another run. `identity` is written into `summary.json` when the run ends.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from dyadic.record.moved import today

WATCHING = ("name", "force", "resume", "data_dir", "results_dir", "logger", "hydra", "claim")
"""Top-level choices that change where a run is and how it is watched, not what it computes."""

SPEED = ("workers",)
"""Choices, anywhere, that change how fast a run is and nothing else."""

ONE_DRAW = ("seed", "weights_of_seed", "threads", "device", "devices")
"""Of what determines a float network: what tells one seed or one machine from another."""

OURS = "dyadic."


def identify(config: Mapping[str, Any], starts_from: Mapping[str, Any]) -> dict[str, str]:
    """A run's digests: hex digits that are equal for what is the same.

    run         every choice that its numbers depend on: as in its name
    experiment  the same for every seed, and however it is deployed
    network     the float network that it starts from, for every seed and machine
    baseline    that float network itself: where it is kept

    config       the resolved choices, as in `config.yaml`
    starts_from  what determines the float network, as the run's builder says
    """
    network = {key: value for key, value in starts_from.items() if key not in ONE_DRAW}
    return {
        "run": run_digest(config),
        "experiment": digest(_seedless(_choices(config, (*WATCHING, "deploy"))))[:8],
        "network": digest(_seedless(network | {"start": config.get("start")}))[:8],
        "baseline": baseline_digest(starts_from),
    }


def run_digest(config: Mapping[str, Any]) -> str:
    """Six hex digits for every choice that a run's numbers depend on.

    >>> run_digest({"bits": 5, "force": True}) == run_digest({"bits": 5, "force": False})
    True
    """
    return digest(_choices(config, WATCHING))[:6]


def baseline_digest(starts_from: Mapping[str, Any]) -> str:
    """Sixteen hex digits for everything that determines a float network, its seed included."""
    return digest(starts_from)[:16]


def float_choices(config: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """What the choices say of the float network: data, model, and how it was trained."""
    trainer = config.get("trainer")
    recipe = trainer.get("baseline") if isinstance(trainer, Mapping) else None
    parts = {key: config.get(key) for key in ("dataset", "model")}
    return parts | {"baseline": recipe, "precision": precision}


def digest(value: Any) -> str:
    """SHA-256 of plain values; of a class of ours its name counts, and not where it is.

    >>> old = {"_target_": "dyadic.schedules.none.PostTraining", "workers": 2}
    >>> digest(old) == digest({"_target_": "dyadic.schedules.post_training.PostTraining"})
    True
    """
    text = json.dumps(_plain(value), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(k): v for k, v in value.items() if k not in SPEED}
        return {k: _name(v) if k == "_target_" else _plain(v) for k, v in kept.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _name(target: Any) -> str:
    """A class or function by its name alone where it is ours, in full where it is another's."""
    path = today(str(target))
    return path.rpartition(".")[2] if path.startswith(OURS) else path


def _choices(config: Mapping[str, Any], left_out: Collection[str]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in left_out}


def _seedless(value: Any) -> Any:
    """The same values without any key that ends in `seed`."""
    if isinstance(value, Mapping):
        return {k: _seedless(v) for k, v in value.items() if not str(k).endswith("seed")}
    return [_seedless(one) for one in value] if isinstance(value, list | tuple) else value
