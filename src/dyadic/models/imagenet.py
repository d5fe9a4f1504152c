"""ImageNet's networks from torchvision, for any number of classes and channels.

stem        of the ResNets: "imagenet" (7x7 at stride 2, max pooling) or "cifar" (3x3 at stride 1)

Inception v3 and GoogLeNet come without auxiliary heads and without torchvision's `transform_input`,
a constant affine map that normalizes with mean and std 0.5 instead. `start=torchvision`
(`dyadic.training.start`) has the weights.
"""

from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from dyadic.errors import check_choice, check_least

Stem = Literal["imagenet", "cifar"]
StridePosition = Literal["v1", "v1.5"]
WIDTH = 64  # channels of a ResNet's first stage


def resnet18(classes: int, channels: int, stem: Stem = "imagenet", width: int = WIDTH) -> nn.Module:
    """ResNet-18 (He et al. 2015), 11.7 million parameters at its `width` of 64 channels."""
    return _resnet("resnet18", classes, channels, stem, width)


def resnet34(classes: int, channels: int, stem: Stem = "imagenet") -> nn.Module:
    """ResNet-34 (He et al. 2015), 21.8 million parameters."""
    return _resnet("resnet34", classes, channels, stem)


def resnet50(
    classes: int,
    channels: int,
    stem: Stem = "imagenet",
    stride_position: StridePosition = "v1.5",
) -> nn.Module:
    """ResNet-50, 25.6 million parameters.

    stride_position  where a block halves the image: "v1" in its first 1x1 convolution (He et al.
                     2015, and HAWQ-V3's tables), "v1.5" in the 3x3 one (torchvision's weights)
    """
    check_choice("stride_position", stride_position, get_args(StridePosition))
    model = _resnet("resnet50", classes, channels, stem)
    if stride_position == "v1":
        for block in model.modules():
            if isinstance(block, Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return model


def inception_v3(classes: int, channels: int) -> nn.Module:
    """Inception v3 (Szegedy et al. 2016), 23.8 million parameters; from 75 pixels on."""
    return _build("inception_v3", classes, channels, aux_logits=False, init_weights=True)


def googlenet(classes: int, channels: int) -> nn.Module:
    """GoogLeNet with batch norm (Szegedy et al. 2015), 6.6 million parameters."""
    return _build("googlenet", classes, channels, aux_logits=False, init_weights=True)


def alexnet(classes: int, channels: int) -> nn.Module:
    """AlexNet (Krizhevsky 2014, one tower), 61.1 million parameters; from 63 pixels on."""
    return _build("alexnet", classes, channels)


def vgg16(classes: int, channels: int) -> nn.Module:
    """VGG-16 (Simonyan & Zisserman 2015), 138.4 million parameters; from 32 pixels on."""
    return _build("vgg16", classes, channels)


class _Narrow(ResNet):
    """torchvision's ResNet-18 with `width` channels in its first stage instead of 64."""

    def __init__(self, width: int, classes: int) -> None:
        self.width = width
        super().__init__(BasicBlock, [2, 2, 2, 2], classes)
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.conv1.weight = nn.Parameter(_kaiming((width, 3, 7, 7)))
        self.bn1 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(8 * width, classes)

    def _make_layer(
        self, block: Any, planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> nn.Sequential:
        if planes == WIDTH:
            self.inplanes = self.width
        return super()._make_layer(block, planes * self.width // WIDTH, blocks, stride, dilate)


def _resnet(name: str, classes: int, channels: int, stem: Stem, width: int = WIDTH) -> nn.Module:
    check_choice("stem", stem, get_args(Stem))
    check_least(1, width=width)
    if width == WIDTH:
        model = _build(name, classes, channels)
    else:
        model = adapted(cast(nn.Module, _Narrow(width, classes)), channels)
    if stem == "cifar":
        model.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        model.conv1.weight = nn.Parameter(_kaiming((width, channels, 3, 3)))
        model.maxpool = nn.Identity()
    return model


def _build(name: str, classes: int, channels: int, **options: bool) -> nn.Module:
    return adapted(get_model(name, weights=None, num_classes=classes, **options), channels)


def adapted(model: nn.Module, channels: int) -> nn.Module:
    """The model with another number of channels in its first convolution."""
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != channels:
        shape = (first.out_channels, channels, *first.weight.shape[2:])
        first.in_channels, first.weight = channels, nn.Parameter(_kaiming(shape))
    return model


def _kaiming(shape: tuple[int, ...]) -> Tensor:
    return nn.init.kaiming_normal_(torch.empty(shape), mode="fan_out", nonlinearity="relu")
