"""What a run starts from: a float network that is shipped, trained here, the user's, torchvision's.

A start gives the weights for the choices of a run; or none, and the network is trained from its
initialization.
"""

import hashlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torchvision.models import get_model_weights

from dyadic.errors import UserError
from dyadic.record.places import SHIPPED
from dyadic.training.weights import StartingWeights, read_state

log = logging.getLogger(__name__)
RunChoices = Mapping[str, Any]
"""Of a run, plain values: `dataset` and `model` with their options, `seed`."""

WHICH_IMAGES = {"holdout": 0, "train_share": 1.0}
"""Options of a data set that say which of its images are trained on, and their usual values."""

SEEN = ("classes", "channels", "mean", "std", "image_size", "source")
"""Options of a data set that change what a network sees; others change how it is trained."""

IMAGENET_MEAN_STD = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
HALF_MEAN_STD = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
HALF = ("googlenet", "inception_v3")  # what torchvision's `transform_input` makes of ImageNet's


class Start(ABC):
    """One of the choices in `conf/start`."""

    @abstractmethod
    def weights(self, choices: RunChoices) -> StartingWeights | None:
        """The weights for these choices of a run; None where the network is trained."""


class Train(Start):
    """The float network is trained, from its initialization."""

    def weights(self, choices: RunChoices) -> StartingWeights | None:
        return None


class Own(Start):
    """The user's file: a state dict, `.safetensors`, or of `torch.save` (read `weights_only`).

    digest  the first digits of its sha256; empty: whatever the file holds
    """

    def __init__(self, weights: str | Path, digest: str = "") -> None:
        self.path, self.digest = Path(weights), digest

    def weights(self, choices: RunChoices) -> StartingWeights:
        state, sha256 = read_state(self.path)
        if not sha256.startswith(self.digest):
            raise UserError(f"{self.path} has changed since its sha256 was {self.digest}...")
        return StartingWeights(state, str(self.path), sha256)


class Shipped(Start):
    """The network that `folder` holds for data set, model and seed; where none fits: trained.

    Its files are `<dataset>-<model>-s<seed>.safetensors` and a record `.json`: the options of data
    set (`recipe.dataset`) and model (`arguments`), and the sha256 of the first.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = SHIPPED if folder is None else Path(folder)

    def weights(self, choices: RunChoices) -> StartingWeights | None:
        name = shipped_name(choices)
        path = self.folder / f"{name}.safetensors"
        record = _record(path.with_suffix(".json")) if path.exists() else None
        if record is None:
            log.info("no network is shipped for %s: it is trained", name)
            return None
        if differences := _differences(record, choices):
            log.info("the network shipped for %s has %s: one is trained", name, differences)
            return None
        state, sha256 = read_state(path)
        if sha256 != record.get("sha256"):
            raise UserError(f"{path} has not its record's sha256; restore it, or use start=train")
        seen = "" if _on_the_same(record, choices) else " (trained on other training images)"
        log.info("starts from the shipped %s%s; start=train trains one", path.name, seen)
        return StartingWeights(state, path.name, sha256, of_seed=True)


class Torchvision(Start):
    """torchvision's weights, such as IMAGENET1K_V1, with the mean and std of their training.

    For grey images the first convolution is summed over its channels. Another number of classes is
    a new last layer (and `stem: cifar` a new first one): then the network is trained on from there.
    """

    def __init__(self, weights: str = "IMAGENET1K_V1") -> None:
        self.name = weights

    def weights(self, choices: RunChoices) -> StartingWeights:
        model = str(choices["model"]["name"])
        try:
            offered = get_model_weights(model).__members__
        except ValueError:
            raise UserError(f"torchvision has no weights for {model}; use start=train") from None
        if self.name not in offered:
            raise UserError(f"weights={self.name}; {model} has {', '.join(offered)}")
        if choices["model"].get("stride_position", "v1.5") != "v1.5":
            raise UserError("torchvision's ResNet-50 weights are of stride_position=v1.5, not v1")
        try:
            state = offered[self.name].get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the weights {self.name} of {model} could not be downloaded ({error}); "
                "start=train trains the network"
            ) from None
        state = {k: v for k, v in state.items() if not k.lower().startswith("aux")}
        mean_std = HALF_MEAN_STD if model in HALF else IMAGENET_MEAN_STD
        origin = f"torchvision's {self.name}"
        sha256 = hashlib.sha256(save({k: v.contiguous() for k, v in state.items()})).hexdigest()
        return StartingWeights(state, origin, sha256, mean_std, adapts=True)


def shipped_name(choices: RunChoices) -> str:
    """What the files of a shipped network are called: `<dataset>-<model>-s<seed>`."""
    return f"{choices['dataset']['name']}-{choices['model']['name']}-s{choices['seed']}"


def _record(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise UserError(f"{path} is missing or damaged; restore it, or use start=train") from None


def _on_the_same(record: RunChoices, choices: RunChoices) -> bool:
    """Whether a shipped network was trained on the images that this run trains on."""
    theirs, ours = record["recipe"]["dataset"], choices["dataset"]
    return all(theirs.get(key, x) == ours.get(key, x) for key, x in WHICH_IMAGES.items())


def _differences(record: RunChoices, choices: RunChoices) -> str:
    """The options of data set and model in which a shipped network is another one's."""
    options = {"dataset": SEEN, "model": sorted({*record["arguments"], *choices["model"]})}
    of = {"dataset": record["recipe"]["dataset"], "model": record["arguments"]}
    return ", ".join(
        f"{part}.{key}={of[part].get(key)}"
        for part, keys in options.items()
        for key in keys
        if of[part].get(key) != choices[part].get(key)
    )
