"""Every model of conf/model is quantized and lowered, and equals its float64 network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import Float64Network
from dyadic.integer.lowering.lower import lower
from dyadic.models.normalize import normalized
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers import Uniform

CONF = Path(__file__).parents[3] / "conf" / "model"
# Pixels at which every pooling window of these has the same size; 32 for all others.
PIXELS = {"alexnet": 63, "googlenet": 32, "inception_v3": 75}


class Statistics:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


NAMES = sorted({path.stem for path in CONF.glob("*.yaml")} - {"own"})  # that one is the user's


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_quantized_and_lowered(name):
    cfg = OmegaConf.load(CONF / f"{name}.yaml")
    del cfg["name"]
    pixels = PIXELS.get(name, 32)
    model = normalized(instantiate(cfg, classes=10, channels=3), Statistics())
    images = torch.randint(0, 256, (2, 3, pixels, pixels), dtype=torch.uint8)
    with torch.no_grad():
        model.train()(images)  # statistics for batch norm
    network = QuantizedNetwork(trace(model.eval(), images), (3, pixels, pixels))
    widths = {layer.name: (4, 4) for layer in network.layers}
    network.quantize(widths, lambda bits: Uniform(bits, granularity="per_channel"), Uniform)
    network.calibrate([images])
    deployed, note = Deployment().prepare(network, [images])
    assert "layers" not in note  # nothing had to be added to them: every layer was quantized
    lowered = lower(deployed, name)
    logits = ReferenceEngine(lowered.program).run(images.numpy())
    exact = Float64Network(deployed, lowered).logits(images)
    assert np.array_equal(logits, exact.numpy())
    assert len(np.unique(logits)) > 2
