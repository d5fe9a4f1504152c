"""Two-step quantization (TSQ, Wang et al. 2018): first the codes, then the weights.

1. The network trains with float weights and quantized (sparse half-wave) activations.
2. Layer by layer from the bottom, each layer's weights are replaced by quantized ones that map the
   codes below it to the codes above it as step 1 did (`dyadic.schedules.tsq_solver`).
3. The quantized network is fine-tuned.

The paper is silent on some of it; the choices here:
- Batch norm enters as it stands after step 1: multiplier * x w + shift is what the activation
  sees, and the multiplier joins the scale that is solved for.
- A max pool between batch norm and activation changes nothing: both orders give the same codes.
- A layer whose output meets an addition or the logits before any activation has no codes of its
  own; its target is the float output of step 1 (least squares).
- x and y are `samples` random output positions of the calibration images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from dyadic.errors import UserError, check_least
from dyadic.network.activations import ActivationQuantization, observe
from dyadic.network.fold import affine
from dyadic.network.layers import TRANSPARENT, Layer, batch_norm_after, module_of
from dyadic.network.modes import evaluating
from dyadic.network.quantized import CALIBRATION_BATCH, QuantizedNetwork, calibrate
from dyadic.network.weights import WeightQuantization, latent_weight
from dyadic.schedules.blend import set_blend
from dyadic.schedules.sampling import Sampler, collect, inputs, outputs
from dyadic.schedules.schedule import Phase, Schedule, lasting
from dyadic.schedules.tsq_solver import LayerCodes, learn


class TwoStep(Schedule):
    """TSQ. Weights with a scale per filter hold the solution as it is; others round it.

    epochs       of step 1
    fine_tuning  epochs of step 3
    strengths    the rising list of lambdas
    alternations for each lambda
    samples      positions that x and y are made of
    images       calibration images that they are drawn from, at most
    asymmetric   x comes from the already quantized layers below (the paper's choice), else from
                 the float ones
    seed         of the positions
    """

    def __init__(
        self,
        epochs: int,
        fine_tuning: int = 1,
        strengths: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
        alternations: int = 5,
        samples: int = 4096,
        images: int = 256,
        asymmetric: bool = True,
        seed: int = 0,
    ) -> None:
        check_least(1, epochs=epochs, alternations=alternations, samples=samples, images=images)
        check_least(0, fine_tuning=fine_tuning)
        if any(s <= 0 for s in strengths):
            raise UserError(f"strengths={list(strengths)}; they must be positive")
        self.epochs, self.fine_tuning = epochs, fine_tuning
        self.strengths, self.alternations = list(strengths), alternations
        self.samples, self.images = samples, images
        self.asymmetric, self.seed = asymmetric, seed

    def phases(self, network: QuantizedNetwork) -> list[Phase]:
        after = Phase("fine-tuning", self.fine_tuning, "weights layer by layer", restart=True)
        return lasting(Phase("codes", self.epochs), after)

    def enter(self, network: QuantizedNetwork, phase: int, images: Tensor) -> None:
        if phase == 0:
            set_blend(network, 0.0)
            calibrate(network, images)
        else:
            self.learn_weights(network, images)

    def arrange(self, network: QuantizedNetwork, phase: int) -> None:
        set_blend(network, float(phase))
        observe(network, True)

    def finish(self, network: QuantizedNetwork, images: Tensor) -> None:
        observe(network, False)
        if self.fine_tuning == 0:
            self.learn_weights(network, images)
        set_blend(network, 1.0)

    @torch.no_grad()
    def learn_weights(self, network: QuantizedNetwork, images: Tensor) -> None:
        """Step 2: replace the float weights by quantized ones, layer by layer from the bottom."""
        set_blend(network, 0.0)
        teacher = network.clone().eval()
        images = images[: self.images]
        count = -(-self.samples // -(-len(images) // CALIBRATION_BATCH))
        targets = [Target.of(teacher.body, layer) for layer, _ in teacher.weights()]
        takes = {target.module: outputs(Sampler(count, self.seed)) for target in targets}
        wanted = collect(teacher, takes, images)
        lower = network if self.asymmetric else teacher
        with evaluating(network):
            for (layer, weights), target, y in zip(network.weights(), targets, wanted, strict=True):
                module = lower.body.get_submodule(layer.name)
                take = inputs(Sampler(count, self.seed), layer.module)
                (x,) = collect(lower, {module: take}, images)
                self._solve(layer, weights, x, y, target)
                weights.blend = 1.0

    def _solve(
        self, layer: Layer, weights: WeightQuantization, x: Tensor, y: Tensor, target: "Target"
    ) -> None:
        """Solve each group of filters; x [N, groups, m], y [N, F] before the activation."""
        latent = latent_weight(layer.module)
        book, free = weights.quantizer.codebook(latent), scale_is_free(weights, latent)
        if book.scale.numel() not in (1, len(latent)):
            latent.copy_(book(latent))  # several scales in a filter: the start is all there is
            return
        levels = book.levels.to(latent.device)
        w = levels[book.quantize(latent)].flatten(1)
        gain, shift = target.affine(layer.module)
        scale = book.scale.double().flatten().expand(len(w))
        y, low, high = target.codes(y)
        x, y = x.double(), y.double()
        for group, filters in enumerate(torch.arange(len(w), device=w.device).chunk(x.shape[1])):
            codes = LayerCodes(x[:, group], y[:, filters], shift[filters], low, high)
            a, solved = learn(
                codes, gain[filters] * scale[filters], w[filters].T, levels,
                self.strengths, self.alternations, free,
            )  # fmt: skip
            # A filter that batch norm switched off has no codes to learn from.
            alpha = torch.where(gain[filters] == 0, scale[filters], a / gain[filters])
            latent[filters] = (alpha * solved).T.reshape(latent[filters].shape).to(latent.dtype)


def scale_is_free(weights: WeightQuantization, w: Tensor) -> bool:
    """Whether the codebook follows any scale of a filter: binary and ternary sets per filter."""
    book = weights.quantizer.codebook(w)
    if len(book.levels) > 3 or book.scale.numel() != len(w):
        return False
    larger = book(w) * torch.linspace(1, 3, len(w), device=w.device).view_as(book.scale)
    return torch.allclose(weights.quantizer.codebook(larger)(larger), larger)


@dataclass(frozen=True)
class Target:
    """What a layer's output goes through: batch norm, a ReLU or not, a quantizer or none.

    module is where the output is taken: the batch norm, or the layer itself.
    """

    module: nn.Module
    norm: nn.BatchNorm2d | None
    relu: bool
    quantization: ActivationQuantization | None

    @classmethod
    def of(cls, body: fx.GraphModule, layer: Layer) -> "Target":
        """Follow a layer's output to the activation that alone reads it."""
        node = start = batch_norm_after(body, layer.node) or layer.node
        taken = module_of(body, start)
        assert taken is not None
        relu, quantization = False, None
        while len(node.users) == 1 and quantization is None:
            node = next(iter(node.users))
            module = module_of(body, node)
            if isinstance(module, ActivationQuantization):
                quantization = module
            elif isinstance(module, nn.ReLU):
                relu = True
            elif not isinstance(module, TRANSPARENT):
                break
        norm = taken if isinstance(taken, nn.BatchNorm2d) else None
        return cls(taken, norm, relu, quantization)

    def affine(self, layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
        """Multiplier and shift from the layer's x w to the activation, float64 [F]."""
        if self.norm is not None:
            gain, shift = affine(self.norm)
        else:
            gain = torch.ones(len(layer.weight), dtype=torch.float64, device=layer.weight.device)
            shift = torch.zeros_like(gain)
        return gain, shift if layer.bias is None else shift + gain * layer.bias.double()

    def codes(self, y: Tensor) -> tuple[Tensor, float, float]:
        """The target values of outputs y, and where the activation saturates."""
        y = y.relu() if self.relu else y
        if self.quantization is None:
            return y, 0.0 if self.relu else -torch.inf, torch.inf
        book = self.quantization.quantizer.codebook(y)
        ends = book.dequantize(torch.tensor([0, len(book.levels) - 1], device=y.device)).double()
        return book(y), float(ends.amin()), float(ends.amax())
