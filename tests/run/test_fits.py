"""Network and images that do not fit each other are met before training."""

import pytest
import torch
from torch import Tensor, nn

from dyadic.data import InMemory
from dyadic.data.synthetic import Synthetic
from dyadic.errors import UserError
from dyadic.models import normalized, resnet8
from dyadic.run.fits import check_fit


def data(**options: object) -> InMemory:
    source = Synthetic(classes=3, channels=1, size=8, train_images=9, test_images=3)
    return InMemory("shapes", source, 3, [0.5], [0.2], **({"batch_size": 4} | options))


class Two(nn.Module):
    def __init__(self, kind: type) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> object:
        return self.kind([x.flatten(1)[:, :3]] * 2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (resnet8(10, 1), "tells 10 classes apart; shapes has 3 classes"),
        (resnet8(3, 3), "does not take images of 1x8x8: RuntimeError: .*3 channels"),
        (nn.Conv2d(1, 3, 3), r"gives \[2, 3, 6, 6\] for 2 images"),
        (Two(tuple), "gives tuple for 2 images"),
        (nn.Sequential(nn.Conv2d(1, 3, 9)), "does not take images of 1x8x8: RuntimeError: "),
    ],
)
def test_what_the_network_cannot_do_is_one_line(body: nn.Module, says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        check_fit(normalized(body, data()), data())
    assert "\n" not in str(error.value)


def test_a_network_that_fits_is_left_as_it_was() -> None:
    network = normalized(resnet8(3, 1), data()).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    check_fit(network, data())
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_batch_norm_of_one_value_is_met_early() -> None:
    def pooled() -> nn.Module:
        layers = nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(1, 3)
        return normalized(nn.Sequential(*layers), data())

    check_fit(pooled(), data(batch_size=2))
    check_fit(normalized(resnet8(3, 1), data()), data(batch_size=1))
    for options, devices in (({"batch_size": 1}, 1), ({"batch_size": 2}, 2)):
        with pytest.raises(UserError, match=r"batch norm cannot normalize one value"):
            check_fit(pooled(), data(**options), devices)
