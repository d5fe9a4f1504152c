"""torchvision's networks in forms that torchvision has not."""

from typing import Literal

import pytest
import torch
import torchvision

from dyadic.errors import UserError
from dyadic.models import resnet18, resnet50


def test_half_mean_and_std_are_transform_input_and_the_data_set_s_in_one() -> None:
    theirs = torchvision.models.googlenet(
        weights=None, aux_logits=False, transform_input=True, init_weights=False
    )
    pixels = torch.rand(2, 3, 4, 4)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    torch.testing.assert_close(theirs._transform_input((pixels - mean) / std), (pixels - 0.5) / 0.5)


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(UserError, match="stem=cifra; it is one of imagenet, cifar"):
        resnet18(10, 3, stem="cifra")
    with pytest.raises(UserError, match=r"width=0; .*at least 1"):
        resnet18(10, 3, width=0)
    with pytest.raises(UserError, match=r"stride_position=v2; it is one of v1, v1\.5"):
        resnet50(10, 3, stride_position="v2")


def test_the_stride_position_moves_the_halving_into_the_first_convolution() -> None:
    with torch.device("meta"):
        blocks = {v: resnet50(10, 3, stride_position=v).layer2[0] for v in ("v1", "v1.5")}
    strides = {v: (b.conv1.stride, b.conv2.stride) for v, b in blocks.items()}
    assert strides == {"v1": ((2, 2), (1, 1)), "v1.5": ((1, 1), (2, 2))}


@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
def test_a_narrow_resnet18_is_the_wide_one_with_fewer_channels(stem: Literal["imagenet", "cifar"]):
    def shapes(width: int) -> dict[str, list[int]]:
        with torch.device("meta"):
            state = resnet18(10, 1, stem=stem, width=width).state_dict()
        return {name: list(value.shape) for name, value in state.items()}

    def narrower(name: str, sizes: list[int]) -> list[int]:
        return [n if n in (1, 3, 7, 10) else n // 4 for n in sizes] if sizes else []

    assert shapes(16) == {name: narrower(name, sizes) for name, sizes in shapes(64).items()}
