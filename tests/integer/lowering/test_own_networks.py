"""Networks as users write them: their integers are the float model's, up to 8-bit rounding.

Each case stands for a kind that other toolkits read wrongly, drop, or refuse after the training.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dyadic
from dyadic.integer.engines.reference import ReferenceEngine
from dyadic.integer.lowering.deploy import Deployment
from dyadic.integer.lowering.float64 import Float64Network
from dyadic.integer.lowering.lower import lower
from dyadic.integer.program.bounds import prove

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
CHANNELS, PIXELS = 6, 8
Middle = Callable[["Classifier", Tensor], Tensor]


class Classifier(nn.Module):
    """A stem, whatever a case does with its feature map [N, 6, 8, 8], and a classifier."""

    def __init__(self, middle: Middle, width: int = CHANNELS, **modules: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.head, self.middle = nn.Linear(width, 5), middle
        for name, module in modules.items():
            self.add_module(name, module)

    def stem(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        y = self.middle(self, self.stem(x))
        return self.head(F.adaptive_avg_pool2d(y, 1).flatten(1) if y.ndim == 4 else y)


def shuffled(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def excited(net: Classifier, x: Tensor) -> Tensor:
    gate = torch.sigmoid(net.gate(x.mean((2, 3)))).view(x.size(0), -1, 1, 1)
    return x * gate.expand_as(x)


MIDDLES: dict[str, tuple[Middle, dict]] = {
    "difference by alpha": (lambda n, x: torch.add(x, n.second(x), alpha=-1), {}),
    "difference by method": (lambda n, x: n.second(x).sub(x, alpha=0.5), {}),
    "one minus it": (lambda n, x: 1 - n.second(x), {}),
    "a sum of a list": (lambda n, x: sum([x, n.second(x), x]), {}),
    "itself twice": (lambda n, x: x + x, {}),
    "a constant added": (lambda n, x: F.relu(n.second(x) + 0.75), {}),
    "a constant factor": (lambda n, x: F.relu(n.second(x) * -1.5) / 2, {}),
    "a parameter added": (
        lambda n, x: F.relu(n.second(x) + n.shift.weight.view(1, -1, 1, 1)),
        {"shift": nn.PReLU(CHANNELS, init=0.5)},
    ),
    "a parameter as factor": (
        lambda n, x: x * n.scale.weight[:, None, None],
        {"scale": nn.PReLU(CHANNELS, init=-0.5)},
    ),
    "channels in another order": (lambda n, x: n.second(x[:, [5, 3, 1, 0, 2, 4]]), {}),
    "channels shuffled": (lambda n, x: n.second(shuffled(x, 2)), {}),
    "chunks joined": (lambda n, x: torch.cat([x.chunk(2, 1)[1], x.split(3, 1)[0]], axis=1), {}),
    "joined with itself": (
        lambda n, x: torch.cat(tensors=(x, n.second(x), x), dim=-3),
        {"width": 3 * CHANNELS},
    ),
    "joined with zeros": (lambda n, x: torch.cat([x[:, 2:], torch.zeros_like(x[:, :2])], 1), {}),
    "every second pixel": (lambda n, x: n.second(x[:, :, ::2, 1::2]), {}),
    "cut out": (lambda n, x: n.second(x[:, :, 1:-2, 2:]), {}),
    "padded on two sides": (lambda n, x: n.second(F.pad(x, (0, 1, 0, 1))), {}),
    "padding same": (lambda n, x: n.same(x), {"same": nn.Conv2d(6, 6, 3, padding="same")}),
    "padding same, even kernel": (
        lambda n, x: F.conv2d(F.pad(x, (0, 1, 0, 1)), n.even.weight, n.even.bias),
        {"even": nn.Conv2d(6, 6, 2)},
    ),
    "parameters of a module": (
        lambda n, x: F.batch_norm(
            F.conv2d(x, n.second.weight, n.second.bias, padding=1),
            n.own.running_mean,
            n.own.running_var,
            n.own.weight,
            n.own.bias,
        ),
        {"own": nn.BatchNorm2d(CHANNELS)},
    ),
    "average without the border": (
        lambda n, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        {},
    ),
    "average with ceil": (lambda n, x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True), {}),
    "adaptive average, uneven": (lambda n, x: n.second(F.adaptive_avg_pool2d(x, 3)), {}),
    "largest of all pixels": (lambda n, x: x.amax((2, 3)), {}),
    "mean by rows, then columns": (lambda n, x: x.mean(3).mean(-1), {}),
    "mean of flattened pixels": (lambda n, x: x.flatten(2).mean(-1), {}),
    "nearest upsampling": (lambda n, x: n.second(F.interpolate(x, scale_factor=2)), {}),
    "repeated pixels": (lambda n, x: n.second(x.repeat_interleave(2, dim=3)), {}),
    "squeeze and excite": (excited, {"gate": nn.Linear(CHANNELS, CHANNELS)}),
    "batch norm before a layer": (lambda n, x: n.second(n.own(x)), {"own": nn.BatchNorm2d(6)}),
    "batch norm after a sum": (lambda n, x: n.own(x + n.second(x)), {"own": nn.BatchNorm2d(6)}),
    "batch norm after a ReLU": (
        lambda n, x: n.own(F.relu(n.second(x))),
        {"own": nn.BatchNorm2d(6, affine=False)},
    ),
    "batch norm of features": (
        lambda n, x: F.relu(n.own(n.wide(x.mean((2, 3))))),
        {"wide": nn.Linear(6, 7), "own": nn.BatchNorm1d(7), "width": 7},
    ),
    "dropout before ReLU": (lambda n, x: F.relu(F.dropout(n.second(x), 0.2, n.training)), {}),
    "a layer used twice": (lambda n, x: n.second(F.relu(n.second(x))), {}),
    "flattened by view": (
        lambda n, x: F.max_pool2d(x, 4).view(x.shape[0], -1),
        {"width": 4 * CHANNELS},
    ),
    "flattened by reshape": (
        lambda n, x: torch.reshape(F.max_pool2d(x, 4), (-1, 24)),
        {"width": 4 * CHANNELS},
    ),
    "flattened, channels last": (
        lambda n, x: F.max_pool2d(x, 4).permute(0, 2, 3, 1).flatten(start_dim=1),
        {"width": 4 * CHANNELS},
    ),
    "ReLU6 of a sum": (lambda n, x: F.relu6(x + n.second(x)), {}),
    "clamped": (lambda n, x: n.second(x).clamp(-0.5, 1.5), {}),
    "swish by hand": (lambda n, x: (y := n.second(x)) * torch.sigmoid(y), {}),
}
ACTIVATIONS = [
    nn.ReLU6(), nn.Hardtanh(-1, 1), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.SiLU(),
    nn.Tanh(), nn.GELU(), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(CHANNELS, init=0.3), nn.ELU(),
    nn.Mish(), nn.Softplus(),
]  # fmt: skip
for number, activation in enumerate(ACTIVATIONS):
    name = f"{number} {type(activation).__name__}"
    MIDDLES[name] = (lambda n, x: n.second(n.act(n.second(x))), {"act": activation})


def images(count: int = 32) -> Tensor:
    source = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, PIXELS, PIXELS), generator=source, dtype=torch.uint8)


def normal(pictures: Tensor) -> Tensor:
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (MEAN, STD))
    return (pictures.float() / 255 - mean) / std


@pytest.mark.parametrize("case", MIDDLES)
@torch.no_grad()
def test_the_integers_are_those_of_the_users_model(case):
    torch.manual_seed(0)
    middle, options = MIDDLES[case]
    model = Classifier(middle, **options)
    model.norm.weight[::2].neg_()
    model.train()(normal(images()))
    wanted = model.eval()(normal(images())).numpy()
    network = dyadic.quantize(
        model,
        images(),
        weight=dyadic.Uniform(8),
        activation=dyadic.Uniform(8),
        mean=MEAN,
        std=STD,
    )
    deployed, note = Deployment().prepare(network, [images()])
    lowered = lower(deployed, "own", note)
    logits = ReferenceEngine(prove(lowered.program)).run(images().numpy())
    assert np.array_equal(logits, Float64Network(deployed, lowered).logits(images()).numpy())
    found = logits * lowered.program.logit_scale
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99
    assert network.traced_difference is not None
    assert network.traced_difference < 1e-5


REFUSED: dict[str, tuple[Middle, dict, str]] = {
    "layer norm": (lambda n, x: n.own(x), {"own": nn.LayerNorm(PIXELS)}, "layer norm .own: "),
    "group norm": (lambda n, x: n.own(x), {"own": nn.GroupNorm(2, 6)}, "group norm .own: "),
    "no statistics": (
        lambda n, x: n.own(x),
        {"own": nn.BatchNorm2d(6, track_running_stats=False)},
        "without running statistics",
    ),
    "transposed": (
        lambda n, x: n.own(x),
        {"own": nn.ConvTranspose2d(6, 6, 2)},
        "transposed convolution .own: ",
    ),
    "reflected border": (lambda n, x: F.pad(x, (1, 1, 1, 1), mode="reflect"), {}, "in this order"),
    "a position's constant": (lambda n, x: x + torch.arange(8.0), {}, "a constant of shape .8."),
    "softmax": (lambda n, x: x.softmax(1), {}, r"softmax .*test_own_networks.py:\d+"),
    "quotient": (lambda n, x: n.second(x) / (1 + x), {}, "quotient of two tensors"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_integer_form_is_refused_by_name(case):
    middle, options, reason = REFUSED[case]
    model = Classifier(middle, **options).eval()
    with pytest.raises(dyadic.UserError, match=reason) as caught:
        dyadic.quantize(model, images(4), weight=dyadic.Uniform(8))
    assert "\n" not in str(caught.value)


def test_all_that_has_no_integer_form_is_named_at_once():
    def several(net: Classifier, x: Tensor) -> Tensor:
        return torch.sort(F.layer_norm(x, [PIXELS]), dim=1)[0].cumsum(1)

    with pytest.raises(dyadic.UserError, match=r"layer norm.*sort.*cumsum"):
        dyadic.quantize(Classifier(several).eval(), images(4), weight=dyadic.Uniform(8))
