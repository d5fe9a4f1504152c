"""Small networks of one kind of activation, images for them, and their exact Hessians."""

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

CLASSES = 3


class Residual(nn.Module):
    """A convolution beside a downsample convolution, as in a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.main = nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=2, bias=False)
        self.side = nn.Conv2d(4, 4, 1, stride=2)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(self.main(x)) + self.side(x))


def network(activation: nn.Module) -> nn.Sequential:
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        activation,
        nn.MaxPool2d(2),
        Residual(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    ).double()
    model[3].norm.running_mean.normal_()
    model[3].norm.running_var.uniform_(0.5, 2.0)
    return model


def layers_of(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


def data(samples: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(samples, 2, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.arange(samples) % CLASSES


def exact_hessian(model: nn.Module, name: str, images: Tensor, labels: Tensor) -> Tensor:
    weight = model.get_parameter(f"{name}.weight").detach()

    def loss(flat: Tensor) -> Tensor:
        replaced = {f"{name}.weight": flat.reshape(weight.shape)}
        return functional.cross_entropy(functional_call(model, replaced, (images,)), labels)

    return torch.autograd.functional.hessian(loss, weight.flatten())
