"""A quantization-aware training step against torch's FP32 step: ratios, measured side by side.

ResNet-18 for 32-pixel inputs, batch 64, W8A8, all variants in channels-last. A step is forward,
loss, backward and SGD. `python benchmarks/qat.py [--rounds 7]`
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F
from side_by_side import compare

from dyadic.models import resnet18
from dyadic.models.normalize import normalized
from dyadic.network.activations import observe
from dyadic.network.quantized import QuantizedNetwork
from dyadic.network.trace import trace
from dyadic.quantizers.uniform import Uniform

SHAPE = (3, 32, 32)
BATCH = 64


class _Statistics:
    mean, std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


def network(bits: int | None) -> torch.nn.Module:
    """ResNet-18 with the CIFAR stem, quantized to W`bits`A`bits` where bits are given."""
    torch.manual_seed(0)
    model = normalized(resnet18(classes=10, channels=3, stem="cifar"), _Statistics())
    images = torch.randint(0, 256, (1, *SHAPE), dtype=torch.uint8)
    found = QuantizedNetwork(trace(model, images), SHAPE)
    if bits is not None:
        widths = {layer.name: (bits, bits) for layer in found.layers}
        found.quantize(widths, lambda bits: Uniform(bits, granularity="per_channel"), Uniform)
        observe(found, True)
    return found.to(memory_format=torch.channels_last).train()


def step(model: torch.nn.Module, bf16: bool) -> Callable[[], None]:
    """One training step as a function without arguments."""
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
        "FP32": step(network(None), False),
        "W8A8": step(network(8), False),
        "FP32, bf16 mixed": step(network(None), True),
        "W8A8, bf16 mixed": step(network(8), True),
    }
    print(compare(variants, rounds, "QAT step, ResNet-18 (32 px), batch 64, channels-last"))


if __name__ == "__main__":
    main()
