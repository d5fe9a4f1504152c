"""ImageNet's networks from torchvision, for any number of classes and channels.

pretrained  None, or the name of torchvision's weights, such as IMAGENET1K_V1
stem        of the ResNets: "imagenet" (7x7 at stride 2, max pooling) or "cifar" (3x3 at stride 1)

Inception v3 and GoogLeNet come without auxiliary heads and without torchvision's `transform_input`,
a constant affine map that normalizes with mean and std 0.5 instead: pretrained weights bring the
statistics with which they were trained (`dyadic.models.normalize.PREFERRED`).
"""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from dyadic.errors import UserError
from dyadic.models.normalize import PREFERRED

Stem = Literal["imagenet", "cifar"]
StridePosition = Literal["v1", "v1.5"]
IMAGENET_CLASSES = 1000
WIDTH = 64  # channels of a ResNet's first stage
IMAGENET_MEAN_STD = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]
HALF_MEAN_STD = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]


def resnet18(
    classes: int,
    channels: int,
    pretrained: str | None = None,
    stem: Stem = "imagenet",
    width: int = WIDTH,
) -> nn.Module:
    """ResNet-18 (He et al. 2015), 11.7 million parameters at its `width` of 64 channels."""
    return _resnet("resnet18", classes, channels, pretrained, stem, width)


def resnet34(
    classes: int, channels: int, pretrained: str | None = None, stem: Stem = "imagenet"
) -> nn.Module:
    """ResNet-34 (He et al. 2015), 21.8 million parameters."""
    return _resnet("resnet34", classes, channels, pretrained, stem)


def resnet50(
    classes: int,
    channels: int,
    pretrained: str | None = None,
    stem: Stem = "imagenet",
    stride_position: StridePosition = "v1.5",
) -> nn.Module:
    """ResNet-50, 25.6 million parameters.

    stride_position  where a block halves the image: "v1" in its first 1x1 convolution (He et al.
                     2015, and HAWQ-V3's tables), "v1.5" in the 3x3 one (torchvision's weights)
    """
    if stride_position not in ("v1", "v1.5"):
        raise UserError(f"model.stride_position={stride_position}; use v1 or v1.5")
    if stride_position == "v1" and pretrained is not None:
        raise UserError("torchvision's ResNet-50 weights are of stride_position=v1.5, not v1")
    model = _resnet("resnet50", classes, channels, pretrained, stem)
    if stride_position == "v1":
        for block in model.modules():
            if isinstance(block, Bottleneck):
                block.conv1.stride, block.conv2.stride = block.conv2.stride, block.conv1.stride
    return model


def inception_v3(classes: int, channels: int, pretrained: str | None = None) -> nn.Module:
    """Inception v3 (Szegedy et al. 2016), 23.8 million parameters; from 75 pixels on."""
    return _inception("inception_v3", classes, channels, pretrained)


def googlenet(classes: int, channels: int, pretrained: str | None = None) -> nn.Module:
    """GoogLeNet with batch norm (Szegedy et al. 2015), 6.6 million parameters."""
    return _inception("googlenet", classes, channels, pretrained)


def alexnet(classes: int, channels: int, pretrained: str | None = None) -> nn.Module:
    """AlexNet (Krizhevsky 2014, one tower), 61.1 million parameters; from 63 pixels on."""
    return _build("alexnet", classes, channels, pretrained)


def vgg16(classes: int, channels: int, pretrained: str | None = None) -> nn.Module:
    """VGG-16 (Simonyan & Zisserman 2015), 138.4 million parameters; from 32 pixels on."""
    return _build("vgg16", classes, channels, pretrained)


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


def _resnet(
    name: str, classes: int, channels: int, pretrained: str | None, stem: Stem, width: int = WIDTH
) -> nn.Module:
    if stem not in ("imagenet", "cifar"):
        raise UserError(f"model.stem={stem}; use imagenet or cifar")
    if width < 1 or (width != WIDTH and pretrained is not None):
        raise UserError(f"model.width={width}; at least 1, and {WIDTH} with pretrained weights")
    if width == WIDTH:
        model = _build(name, classes, channels, pretrained)
    else:
        model = cast(nn.Module, _Narrow(width, classes))
        _adapt_input(model, channels, keep_weights=False)
    if stem == "cifar":
        model.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        model.conv1.weight = nn.Parameter(_kaiming((width, channels, 3, 3)))
        model.maxpool = nn.Identity()
    return model


def _inception(name: str, classes: int, channels: int, pretrained: str | None) -> nn.Module:
    options = {"aux_logits": False, "init_weights": True}
    return _build(name, classes, channels, pretrained, HALF_MEAN_STD, **options)


def _build(
    name: str,
    classes: int,
    channels: int,
    pretrained: str | None,
    mean_std: list[list[float]] = IMAGENET_MEAN_STD,
    **options: bool,
) -> nn.Module:
    outputs = classes if pretrained is None else IMAGENET_CLASSES
    model = get_model(name, weights=None, num_classes=outputs, **options)
    if pretrained is not None:
        _load(model, name, pretrained)
        statistics = torch.tensor(mean_std)
        if channels == 1:
            statistics = statistics.mean(1, keepdim=True)
        model.register_buffer(PREFERRED, statistics, persistent=False)
    _adapt_input(model, channels, pretrained is not None)
    if outputs != classes:
        path, last = [(k, m) for k, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
        model.set_submodule(path, nn.Linear(last.in_features, classes))
    return model


def _load(model: nn.Module, name: str, pretrained: str) -> None:
    """Load torchvision's weights, leaving out the auxiliary heads that the model does not have."""
    known = get_model_weights(name)
    if pretrained not in known.__members__:
        raise UserError(f"model.pretrained={pretrained}; {name} has {', '.join(known.__members__)}")
    try:
        state = known[pretrained].get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"the weights {pretrained} of {name} could not be downloaded ({error}); "
            "model.pretrained=null trains from the start"
        ) from None
    model.load_state_dict({k: v for k, v in state.items() if not k.lower().startswith("aux")})


def _adapt_input(model: nn.Module, channels: int, keep_weights: bool) -> None:
    """Give the first convolution another number of channels.

    Weights worth keeping are summed over the channels: a grey image then gives what its three equal
    channels would have given.
    """
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == channels:
        return
    if keep_weights and channels != 1:
        raise UserError(f"pretrained weights read 3 channels, or 1 by summing, not {channels}")
    shape = (first.out_channels, channels, *first.weight.shape[2:])
    weight = first.weight.data.sum(1, keepdim=True) if keep_weights else _kaiming(shape)
    first.in_channels, first.weight = channels, nn.Parameter(weight)


def _kaiming(shape: tuple[int, ...]) -> Tensor:
    return nn.init.kaiming_normal_(torch.empty(shape), mode="fan_out", nonlinearity="relu")
