"""Whether a graph is the user's network: both run on the same images, in evaluation mode."""

import torch
from torch import Tensor, fx, nn

from dyadic.errors import UserError
from dyadic.network.modes import evaluating
from dyadic.network.reading.recorder import Recorder
from dyadic.network.reading.spelling import HANDLERS

RANDOM, CALIBRATION = 8, 32  # images
LOGIT_TOLERANCE = 1e-4  # of the largest value: other kernels add in another order
NOISE_SEED = 0


def samples(images: Tensor) -> list[Tensor]:
    """Random images and the first of those given, of numbers that no example had."""
    source = torch.Generator().manual_seed(NOISE_SEED)
    shape = (RANDOM, *images.shape[1:])
    if images.dtype == torch.uint8:
        noise = torch.randint(256, shape, generator=source, dtype=torch.uint8)
    else:
        noise = torch.randn(shape, generator=source).to(images.dtype)
    return [noise.to(images.device), images[:CALIBRATION]]


@torch.no_grad()
def traced_difference(model: nn.Module, graph: fx.GraphModule, images: Tensor) -> float:
    """Largest difference between the logits of a model and of its graph, relative to the largest.

    Raises UserError, naming the first node that differs, where it is more than rounding.
    """
    worst = 0.0
    with evaluating(model), evaluating(graph):
        for sample in samples(images):
            found = difference(model(sample), graph(sample))
            if found > LOGIT_TOLERANCE:
                raise UserError(
                    f"{type(model).__name__}: its graph computes something else, by {found:.2g} of "
                    f"the largest logit; {first_node_apart(model, graph, sample)}"
                )
            worst = max(worst, found)
    return worst


def difference(expected: Tensor, found: Tensor) -> float:
    """Largest |expected - found| over the largest |expected|; infinite where only one is finite."""
    if expected.shape != found.shape:
        return float("inf")
    if not torch.equal(expected.isfinite(), found.isfinite()):
        return float("inf")
    largest = expected.nan_to_num().abs().amax().item()
    gap = (expected - found).nan_to_num().abs().amax().item()
    return gap / largest if largest > 0 else gap


def first_node_apart(model: nn.Module, graph: fx.GraphModule, images: Tensor) -> str:
    """The first node whose value on these images is not the model's."""
    recorder = Recorder(model, HANDLERS, keep=True)
    recorder.record(images)
    assert recorder.values is not None
    expected, computed = recorder.values, dict[str, Tensor]()

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> object:
            computed[n.name] = result = super().run_node(n)
            return result

    Watch(graph).run(images)
    for node in graph.graph.nodes:
        value = expected.get(node.name)
        if node.name not in {n.name for n in recorder.graph.nodes}:
            return f"which operations it runs depends on the images, from {node.name} on"
        if value is not None and difference(value, computed[node.name]) > LOGIT_TOLERANCE:
            name = node.target if node.op == "call_module" else node.name
            return f"the first that differs is {name}"
    return "each operation agrees by itself"
