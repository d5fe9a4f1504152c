"""Hessian traces of ResNet-18 to a 5 % standard error in every layer: ours against PyHessian's way.

Batch 64 of 3 x 32 x 32, after --steps of training on synthetic classes. PyHessian's way is our
straightforward writing of it: the gradient graph over all parameters, batch norm and biases too,
one Rademacher probe per Hessian-vector product, v_l^T (H v)_l read off per layer. Its probes to 5 %
come from the variance that is measured over --probes of them: a run takes minutes and not hours.
Seconds are CPU time on one thread, which a busy machine does not stretch.
`python benchmarks/hessian.py [--stem cifar] [--probes 24] [--steps 40]`
"""

import argparse
import resource
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional

from dyadic.allocation.sensitivity.double_backward import DoubleBackward
from dyadic.allocation.sensitivity.gauss_newton import GaussNewton
from dyadic.allocation.sensitivity.hessian import hessian_traces
from dyadic.models import resnet18

TOLERANCE = 0.05


def pyhessian(model: nn.Module, images: Tensor, labels: Tensor, probes: int) -> Tensor:
    """Values v_l^T (H v)_l of the weight layers, float64 [probes, layers]."""
    parameters = list(model.parameters())
    weights = [index for index, p in enumerate(parameters) if p.dim() > 1]
    loss = functional.cross_entropy(model(images), labels)
    gradient = torch.autograd.grad(loss, parameters, create_graph=True)
    generator, values = torch.Generator().manual_seed(0), []
    for _ in range(probes):
        v = [torch.randint(0, 2, p.shape, generator=generator) * 2.0 - 1 for p in parameters]
        product = torch.autograd.grad(gradient, parameters, v, retain_graph=True)
        values.append(torch.stack([(v[i] * product[i]).sum().double() for i in weights]))
    return torch.stack(values)


def batch(centres: Tensor) -> tuple[Tensor, Tensor]:
    """64 images of ten noisy classes, and their labels."""
    labels = torch.randint(0, len(centres), (64,))
    return centres[labels] + 2.0 * torch.randn(64, *centres.shape[1:]), labels


def train(model: nn.Module, centres: Tensor, steps: int) -> None:
    """A few steps, so that activations and curvatures have sensible sizes; ends in eval mode."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(steps):
        images, labels = batch(centres)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    model.eval()


def needed(values: Tensor, exact: Tensor) -> float:
    """Probes to the tolerance in every layer: the largest (deviation / (tolerance * trace))^2."""
    ratio = values.std(dim=0) / (TOLERANCE * exact)
    return float(ratio.square().max())


def peak() -> float:
    """Peak memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def report(name: str, probes: float, per_probe: float, seconds: float, memory: float) -> None:
    """One row."""
    sys.stdout.write(
        f"{name:36s} {probes:8.0f} probes {per_probe:8.3f} s a probe "
        f"{seconds:9.2f} s to 5 %   peak {memory:.2f} GiB\n"
    )


def main() -> None:
    """Print the rows and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stem", default="imagenet")
    parser.add_argument("--probes", type=int, default=24)
    parser.add_argument("--steps", type=int, default=40)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = resnet18(classes=10, channels=3, stem=arguments.stem)
    centres = torch.randn(10, 3, 32, 32)
    train(model, centres, arguments.steps)
    images, labels = batch(centres)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    weights = [layer.weight for layer in layers.values()]

    # Peak memory only grows within a process, so the smallest goes first.
    started = time.process_time()
    ours = hessian_traces(model, layers, images, labels)
    seconds = time.process_time() - started
    report("ours", ours.probes, seconds / ours.probes, seconds, peak())
    exact = GaussNewton(model, list(layers.values()), [images], 0)(range(16)).mean(dim=(0, 2))

    started = time.process_time()
    values = DoubleBackward(model, weights, [(images, labels)], 0)(range(arguments.probes))[..., 0]
    each = (time.process_time() - started) / arguments.probes
    count = needed(values, exact)
    report("double backward, probed weights only", count, each, count * each, peak())

    started = time.process_time()
    values = pyhessian(model, images, labels, arguments.probes)
    each = (time.process_time() - started) / arguments.probes
    count = needed(values, exact)
    report("PyHessian's way", count, each, count * each, peak())

    error = values.std(dim=0) / arguments.probes**0.5
    worst = float(((values.mean(dim=0) - exact).abs() / error).max())
    sys.stdout.write(
        f"ours is {count * each / seconds:.0f} times as fast to 5 %; the two differ by at most "
        f"{worst:.1f} standard errors of PyHessian's {arguments.probes} probes\n"
        f"largest relative error of ours against the exact traces: "
        f"{float((ours.trace / exact - 1).abs().max()):.4f}\n"
    )


if __name__ == "__main__":
    main()
