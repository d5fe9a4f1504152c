"""Float networks: plain modules, for any number of classes and channels.

Every factory is `factory(classes, channels, ...) -> nn.Module`; `normalized` puts the data set's
normalization in front, so that the network takes uint8 images.
"""

from dyadic.models.cifar_resnet import resnet8, resnet20, resnet32, resnet56
from dyadic.models.imagenet import (
    alexnet,
    googlenet,
    inception_v3,
    resnet18,
    resnet34,
    resnet50,
    vgg16,
)
from dyadic.models.mobile import efficientnet_b0, mobilenet_v2
from dyadic.models.normalize import NormalizePixels, normalized
from dyadic.models.small_inception import small_inception

__all__ = [
    "NormalizePixels",
    "alexnet",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "normalized",
    "resnet8",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet50",
    "resnet56",
    "small_inception",
    "vgg16",
]
