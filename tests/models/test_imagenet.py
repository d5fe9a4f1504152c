"""torchvision's networks with weights: a small stand-in takes the place of the download."""

from collections.abc import Callable
from typing import Literal

import pytest
import torch
import torchvision
from torch import Tensor, nn

from dyadic.errors import UserError
from dyadic.models import googlenet, inception_v3, resnet18, resnet50
from dyadic.models.normalize import PREFERRED

Replace = Callable[[Callable[[], dict[str, Tensor]]], None]


@pytest.fixture
def download(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Make `weights.get_state_dict` return what a function gives."""

    def replace(make: Callable[[], dict[str, Tensor]]) -> None:
        name = "torchvision.models._api.WeightsEnum.get_state_dict"
        monkeypatch.setattr(name, lambda self, **options: make())

    return replace


def constant_weights(name: str, **options: bool) -> Callable[[], dict[str, Tensor]]:
    def make() -> dict[str, Tensor]:
        model = torchvision.models.get_model(name, weights=None, **options)
        return {key: torch.ones_like(value) for key, value in model.state_dict().items()}

    return make


def grey(colour: Tensor) -> Tensor:
    return colour.mean(1, keepdim=True)


def test_weights_are_loaded_and_the_head_fits_the_classes(download: Replace) -> None:
    download(constant_weights("resnet18"))
    kept, replaced = (resnet18(n, 3, pretrained="IMAGENET1K_V1") for n in (1000, 10))
    assert (kept.fc.weight == 1).all()
    assert (kept.layer1[0].conv1.weight == 1).all()
    assert replaced.fc.weight.shape == (10, 512)
    assert replaced.fc.weight.std() > 0


def test_one_channel_sums_the_weights_of_three(download: Replace) -> None:
    download(constant_weights("resnet18"))
    model = resnet18(1000, 1, pretrained="IMAGENET1K_V1")
    assert model.conv1.weight.shape == (64, 1, 7, 7)
    assert (model.conv1.weight == 3).all()
    statistics = model.get_buffer(PREFERRED)
    torch.testing.assert_close(statistics, torch.tensor([[0.449], [0.226]]))
    with pytest.raises(UserError, match="3 channels, or 1"):
        resnet18(1000, 4, pretrained="IMAGENET1K_V1")


@pytest.mark.parametrize(
    ("name", "factory"), [("googlenet", googlenet), ("inception_v3", inception_v3)]
)
def test_inceptions_leave_auxiliary_heads_out_and_bring_their_statistics(
    download: Replace, name: str, factory: Callable[..., nn.Module]
) -> None:
    download(constant_weights(name, aux_logits=True, init_weights=False))
    model = factory(1000, 3, pretrained="IMAGENET1K_V1")
    assert not any(key.lower().startswith("aux") for key in model.state_dict())
    assert (model.get_buffer(PREFERRED) == 0.5).all()


def test_preferred_statistics_are_transform_input_and_the_data_set_s_in_one() -> None:
    theirs = torchvision.models.googlenet(
        weights=None, aux_logits=False, transform_input=True, init_weights=False
    )
    pixels = torch.rand(2, 3, 4, 4)
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    )
    torch.testing.assert_close(theirs._transform_input((pixels - mean) / std), (pixels - 0.5) / 0.5)


@pytest.mark.parametrize("error", [OSError("no network"), RuntimeError("invalid hash value")])
def test_a_failed_download_is_one_line(download: Replace, error: Exception) -> None:
    def fail() -> dict[str, Tensor]:
        raise error

    download(fail)
    with pytest.raises(UserError, match=r"IMAGENET1K_V1 of resnet18 .*pretrained=null") as found:
        resnet18(10, 3, pretrained="IMAGENET1K_V1")
    assert "\n" not in str(found.value)


def test_options_out_of_range_are_named() -> None:
    with pytest.raises(UserError, match=r"IMAGENET1K_V9; resnet18 has IMAGENET1K_V1"):
        resnet18(10, 3, pretrained="IMAGENET1K_V9")
    with pytest.raises(UserError, match="stem=cifra; use imagenet or cifar"):
        resnet18(10, 3, stem="cifra")
    with pytest.raises(UserError, match=r"model\.width=32; at least 1, and 64 with pretrained"):
        resnet18(10, 3, pretrained="IMAGENET1K_V1", width=32)
    with pytest.raises(UserError, match=r"stride_position=v2; use v1 or v1\.5"):
        resnet50(10, 3, stride_position="v2")
    with pytest.raises(UserError, match=r"of stride_position=v1\.5, not v1"):
        resnet50(1000, 3, stride_position="v1", pretrained="IMAGENET1K_V1")


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
