"""Every network in conf/model: built through Hydra, traced, run on its smallest images."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from dyadic.models import NormalizePixels, normalized
from dyadic.network.layers import shape_of, weight_layers
from dyadic.network.trace import trace

CONF = Path(__file__).resolve().parents[2] / "conf" / "model"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "own")
SMALLEST = {"alexnet": 63, "inception_v3": 75, "googlenet": 16, "vgg16": 32}

# Million parameters and multiply-accumulates of the weight layers, for (channels, size, classes).
# torchvision's tables: 11.69, 21.80, 25.56, 27.16 less 3.33 of the auxiliary head, 6.62, 61.10 and
# 138.36 million parameters; 1.81, 3.66, 4.09, 5.71, 1.50, 0.71 and 15.47 billion operations. He et
# al. 2015, table 6: 0.27, 0.46 and 0.85 million parameters for the CIFAR networks.
KNOWN = {
    "resnet18": ((3, 224, 1000), 11.69, 1814),
    "resnet34": ((3, 224, 1000), 21.80, 3664),
    "resnet50": ((3, 224, 1000), 25.56, 4089),
    "inception_v3": ((3, 299, 1000), 23.83, 5713),
    "googlenet": ((3, 224, 1000), 6.62, 1498),
    "alexnet": ((3, 224, 1000), 61.10, 714),
    "vgg16": ((3, 224, 1000), 138.36, 15470),
    "resnet8": ((3, 32, 10), 0.078, 12.5),
    "resnet20": ((3, 32, 10), 0.272, 40.8),
    "resnet32": ((3, 32, 10), 0.467, 69.1),
    "resnet56": ((3, 32, 10), 0.856, 125.7),
    "small_inception": ((1, 28, 10), 0.341, 37.5),
    "mobilenet_v2": ((1, 28, 10), 2.236, 72.9),
    "efficientnet_b0": ((1, 28, 10), 4.020, 98.3),
}


class Grey:
    mean, std = (0.3,), (0.4,)


def build(name: str, classes: int, channels: int, **options: object) -> nn.Module:
    config = OmegaConf.load(CONF / f"{name}.yaml")
    assert config.pop("name") == name
    return instantiate(config, classes=classes, channels=channels, **options)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_is_traced_and_answers_grey_images(name: str) -> None:
    size = SMALLEST.get(name, 8)
    model = normalized(build(name, 5, 1), Grey).eval()
    images = torch.randint(256, (2, 1, size, size), dtype=torch.uint8)
    with torch.no_grad():
        logits = model(images)
        assert logits.shape == (2, 5)
        assert torch.equal(trace(model, images)(images), logits)
    assert isinstance(model.normalize, NormalizePixels)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_operations_are_the_known_ones(name: str) -> None:
    (channels, size, classes), parameters, macs = KNOWN[name]
    with torch.device("meta"):
        model, images = build(name, classes, channels), torch.zeros(1, channels, size, size)
    found = sum(p.numel() for p in model.parameters()) / 1e6
    assert found == pytest.approx(parameters, abs=0.005 if parameters > 1 else 0.0005)
    operations = sum(
        layer.macs for layer in weight_layers(trace(model, images), (channels, size, size))
    )
    assert operations / 1e6 == pytest.approx(macs, abs=0.5 if macs > 200 else 0.1)


@pytest.mark.parametrize("name", ["resnet8", "resnet56", "small_inception"])
def test_width_scales_a_small_network(name: str) -> None:
    thin, wide = (sum(p.numel() for p in build(name, 4, 1, width=w).parameters()) for w in (2, 4))
    assert 2 < wide / thin < 4


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50"])
def test_the_cifar_stem_keeps_small_images_large(name: str) -> None:
    with torch.device("meta"):
        model, images = build(name, 10, 1, stem="cifar"), torch.zeros(1, 1, 32, 32)
    first, *_, last, _ = weight_layers(trace(model, images), (1, 32, 32))
    assert first.module.kernel_size == (3, 3)
    assert shape_of(first.node) == (64, 32, 32)
    assert shape_of(last.node)[1:] == (4, 4)
