"""Integer programs of well-known networks with random weights, for measuring speed.

They come from the project's own lowering of torchvision's float network: 8-bit weights per channel,
8-bit activations, 16-bit residual streams. Random images calibrate them.
"""

import torch
import torchvision
from torch import nn

from dyadic.integer.deploy import Deployment
from dyadic.integer.lowering import lower
from dyadic.integer.program import Program
from dyadic.models import resnet20
from dyadic.models.normalize import normalized
from dyadic.network.insert import Bits
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.uniform import Uniform


class _Statistics:
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class _Grey:
    mean, std = (0.5,), (0.25,)


def float_network(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """The float network from uint8 pixels on, and its image shape."""
    torch.manual_seed(0)
    if name == "resnet20":
        return normalized(resnet20(classes=10, channels=1), _Grey()).eval(), (1, 28, 28)
    model = getattr(torchvision.models, name)()
    return normalized(model, _Statistics()).eval(), (3, 224, 224)


def program(name: str) -> Program:
    """The network's integer program, W8A8."""
    model, shape = float_network(name)
    images = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    with torch.no_grad():
        model.train()(images)  # statistics for batch norm
    network = QuantizedNetwork(trace(model.eval()), shape)
    widths = {layer.name: Bits(8, 8) for layer in network.layers}
    network.quantize(widths, lambda bits: Uniform(bits, granularity="per_channel"), Uniform)
    network.calibrate([images])
    deployed, note = Deployment().prepare(network.eval(), [images])
    return lower(deployed, name, note).program
