"""A small Inception for 28 to 32 pixel inputs, with the block of Inception v3's 35 x 35 stage.

Szegedy et al. 2016, "Rethinking the Inception architecture", figure 5: four branches, the 5x5
convolution as two of 3x3, average pooling in the fourth, joined by concatenation.
"""

import torch
from torch import Tensor, nn

from dyadic.errors import check_least


class ConvNormRelu(nn.Sequential):
    """Convolution that keeps the image size, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class InceptionBlock(nn.Module):
    """Concatenation of 1x1, 3x3, double 3x3 and average pooling branches: 5 * width channels."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.branch1 = ConvNormRelu(inputs, width, 1)
        self.branch3 = nn.Sequential(
            ConvNormRelu(inputs, width, 1), ConvNormRelu(width, 2 * width, 3)
        )
        self.branch3_3 = nn.Sequential(
            ConvNormRelu(inputs, width, 1),
            ConvNormRelu(width, width, 3),
            ConvNormRelu(width, width, 3),
        )
        self.branch_pool = nn.Sequential(
            nn.AvgPool2d(3, 1, padding=1), ConvNormRelu(inputs, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat(
            [self.branch1(x), self.branch3(x), self.branch3_3(x), self.branch_pool(x)], 1
        )


class SmallInception(nn.Module):
    """A stem of two convolutions, three blocks at half, two wider ones at a quarter of the size."""

    def __init__(self, classes: int, channels: int, width: int) -> None:
        super().__init__()
        check_least(1, width=width)
        self.stem = nn.Sequential(
            ConvNormRelu(channels, width, 3), ConvNormRelu(width, 2 * width, 3), nn.MaxPool2d(2)
        )
        self.stage1 = nn.Sequential(
            InceptionBlock(2 * width, width),
            InceptionBlock(5 * width, width),
            InceptionBlock(5 * width, width),
            nn.MaxPool2d(2),
        )
        self.stage2 = nn.Sequential(
            InceptionBlock(5 * width, 2 * width), InceptionBlock(10 * width, 2 * width)
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(10 * width, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stage2(self.stage1(self.stem(x))))


def small_inception(classes: int, channels: int, width: int = 24) -> nn.Module:
    """About 0.35 million parameters; `width` is the number of channels of a branch."""
    return SmallInception(classes, channels, width)
