"""MobileNetV2 and EfficientNet-B0 for 28 to 32 pixel inputs: torchvision's, with fewer strides.

ImageNet's form halves the image five times, to a 32nd. Here the stem and the first stages that
halve it keep its size, so that three halvings are left, as in ResNets of this size (Sandler et al.
2018, table 2; Tan & Le 2019, table 1; the networks for CIFAR of either paper are not published).
"""

from torch import nn
from torchvision.models import EfficientNet, MobileNetV2
from torchvision.models.efficientnet import MBConvConfig

from dyadic.errors import UserError
from dyadic.models.imagenet import adapted

# Expansion, channels, blocks, stride: table 2 with the strides of its first two stages at 1.
MOBILENET_V2 = [
    [1, 16, 1, 1], [6, 24, 2, 1], [6, 32, 3, 2], [6, 64, 4, 2],
    [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1],
]  # fmt: skip
# Expansion, kernel, stride, channels in and out, blocks: table 1, likewise.
EFFICIENTNET_B0 = [
    (1, 3, 1, 32, 16, 1), (6, 3, 1, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
]  # fmt: skip


def mobilenet_v2(classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """MobileNetV2, 2.2 million parameters at width 1; `width` scales channels."""
    _check(width)
    model = MobileNetV2(classes, width_mult=width, inverted_residual_setting=MOBILENET_V2)
    return _small_images(model, channels)


def efficientnet_b0(classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """EfficientNet-B0, 4.0 million parameters at width 1; `width` scales channels."""
    _check(width)
    blocks = [MBConvConfig(*row, width_mult=width, depth_mult=1.0) for row in EFFICIENTNET_B0]
    model = EfficientNet(blocks, dropout=0.2, num_classes=classes)
    return _small_images(model, channels)


def _check(width: float) -> None:
    if not 0 < width <= 4:
        raise UserError(f"width={width}; a factor of the channels, above 0 and up to 4")


def _small_images(model: MobileNetV2 | EfficientNet, channels: int) -> nn.Module:
    """The first convolution at stride 1, for this number of channels."""
    next(m for m in model.modules() if isinstance(m, nn.Conv2d)).stride = (1, 1)
    return adapted(model, channels)
