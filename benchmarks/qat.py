"""A quantization-aware training step against torch's FP32 step: ratios, measured side by side.

ResNet-18 for 32-pixel inputs, batch 64, all variants in channels-last: W8A8, and LogQuant's
training with powers of two of 5 bits, gradients too. A step is forward, loss, backward and SGD.
`python benchmarks/qat.py [--rounds 7]`
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from side_by_side import compare

from dyadic.models import resnet18
from dyadic.models.normalize import normalized
from dyadic.network.activations import observe
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.logarithmic import Logarithmic
from dyadic.quantizers.uniform import Uniform
from dyadic.schedules.log_training import LogTraining

SHAPE = (3, 32, 32)
BATCH = 64


class _Statistics:
    mean: Sequence[float] = (0.5, 0.5, 0.5)
    std: Sequence[float] = (0.25, 0.25, 0.25)


def network() -> QuantizedNetwork:
    """ResNet-18 with the CIFAR stem, in float."""
    torch.manual_seed(0)
    model = normalized(resnet18(classes=10, channels=3, stem="cifar"), _Statistics())
    images = torch.randint(0, 256, (1, *SHAPE), dtype=torch.uint8)
    return QuantizedNetwork(trace(model, images), SHAPE)


def w8a8() -> QuantizedNetwork:
    """The network with weights (by channel) and activations of 8 bits."""
    found = network()
    widths = {layer.name: (8, 8) for layer in found.layers}
    found.quantize(widths, partial(Uniform, granularity="per_channel"), Uniform)
    return found


def log_training() -> QuantizedNetwork:
    """The network with weights, activations and gradients that are powers of two, of 5 bits."""
    found = network()
    found.quantize({layer.name: (5, 5) for layer in found.layers}, Logarithmic, Logarithmic)
    LogTraining(epochs=1, gradient=Logarithmic).begin(found)
    return found


def step(model: QuantizedNetwork, bf16: bool) -> Callable[[], None]:
    """One training step as a function without arguments."""
    observe(model, True)
    model.to(memory_format=torch.channels_last).train()
    images = torch.randint(0, 256, (BATCH, *SHAPE), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()

    return run


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(2)
    variants = {
        "FP32": step(network(), False),
        "W8A8": step(w8a8(), False),
        "log training": step(log_training(), False),
        "FP32, bf16 mixed": step(network(), True),
        "W8A8, bf16 mixed": step(w8a8(), True),
        "log training, bf16 mixed": step(log_training(), True),
    }
    print(compare(variants, rounds, "QAT step, ResNet-18 (32 px), batch 64, channels-last"))


if __name__ == "__main__":
    main()
