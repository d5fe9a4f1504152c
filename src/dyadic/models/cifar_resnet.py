"""ResNets for 28 to 32 pixel inputs (He et al. 2015, "Deep residual learning", section 4.2).

6n + 2 layers: a 3x3 convolution, three stages of n blocks with two 3x3 convolutions each, at 16, 32
and 64 channels, global average pooling, one fully connected layer. Where the shape changes, the
shortcut is a 1x1 projection (the paper's option B; its CIFAR networks use A, zero padding of the
channels, which has no layer to quantize and saves 1 % of the parameters).
"""

from torch import Tensor, nn

from dyadic.errors import UserError


class BasicBlock(nn.Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu2(y + self.shortcut(x))


class CifarResNet(nn.Module):
    """6 * blocks + 2 layers; `width` is the number of channels of the first stage."""

    def __init__(self, blocks: int, classes: int, channels: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"width={width}; the channels of the first stage, at least 1")
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = _stage(blocks, width, width, 1)
        self.layer2 = _stage(blocks, width, 2 * width, 2)
        self.layer3 = _stage(blocks, 2 * width, 4 * width, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


def resnet8(classes: int, channels: int, width: int = 16) -> nn.Module:
    """One block a stage: for tests and quick looks."""
    return CifarResNet(1, classes, channels, width)


def resnet20(classes: int, channels: int, width: int = 16) -> nn.Module:
    """Three blocks a stage, 0.27 million parameters."""
    return CifarResNet(3, classes, channels, width)


def resnet32(classes: int, channels: int, width: int = 16) -> nn.Module:
    """Five blocks a stage, 0.46 million parameters."""
    return CifarResNet(5, classes, channels, width)


def resnet56(classes: int, channels: int, width: int = 16) -> nn.Module:
    """Nine blocks a stage, 0.85 million parameters."""
    return CifarResNet(9, classes, channels, width)
